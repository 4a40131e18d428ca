# Shapers of sqm, where it is installed: one per device.

table Device.QoS.Shaper.{i}.
  each uci sqm.queue
  new set qdisc cake
  new set script piece_of_cake.qos

  Enable       = option enabled | default 0
  Status       = option enabled | default 0 | map 1:Enabled *:Disabled
  Interface    = option interface | ref Device.Ethernet.Link.{i}.
  # What goes out. UCI counts in kbit/s.
  ShapingRate  = option upload | mul 1000
