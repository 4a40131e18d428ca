# Shapers of sqm, where it is installed: one per device. What the firewall marks is what TR-181 classifies.

object Device.QoS.
  MaxClassificationEntries = native row.most
  MaxQueueEntries          = native row.most

# A rule has one mark: a code point, or a number for the packet in the router.
table Device.QoS.Classification.{i}.
  when uci firewall.@zone[0].name
  each uci firewall.rule where option target | upper | map DSCP:1 MARK:1
  new name class
  new set enabled 0
  new set src -
  new set dest *
  new set target DSCP
  new set proto all
  let src = option src

  Enable             = option enabled | default 1
  Status             = option enabled | default 1 | map 0:Disabled
                    or option target | native qos.status
  Order              = native firewall.order
  Interface          = option src | native firewall.inbound | ref Device.IP.Interface.{i}.
  AllInterfaces      = option src | native firewall.all
  IPVersion          = option family | default any | map ipv4:4 ipv6:6 any:-1
  DestIP             = option dest_ip | native firewall.address
  DestMask           = option dest_ip | native firewall.mask
  DestIPExclude      = option dest_ip | native firewall.not | default 0
  SourceIP           = option src_ip | native firewall.address
  SourceMask         = option src_ip | native firewall.mask
  SourceIPExclude    = option src_ip | native firewall.not | default 0
  Protocol           = option proto | native firewall.protocol | default -1
  ProtocolExclude    = option proto | native firewall.not | default 0
  DestPort           = native firewall.dest_port
  DestPortRangeMax   = native firewall.dest_port_max
  DestPortExclude    = option dest_port | native firewall.not | default 0
  SourcePort         = native firewall.source_port
  SourcePortRangeMax = native firewall.source_port_max
  SourcePortExclude  = option src_port | native firewall.not | default 0
  SourceMACAddress   = option src_mac | native firewall.mac
  SourceMACExclude   = option src_mac | native firewall.not | default 0
  DSCPCheck          = option dscp | native firewall.dscp | default -1
  DSCPExclude        = option dscp | native firewall.not | default 0
  DSCPMark           = native qos.dscp_mark
  ForwardingPolicy   = native qos.forwarding_policy

# What the kernel sends by: the queue of each device that has one.
table Device.QoS.Queue.{i}.
  each ubus netlink qdisc /qdisc key /dev where item /parent == root where item /kind != noqueue where key | native link.port

  Enable        = text 1 | fixed
  Status        = text Enabled
  Interface     = key | native link.port
  AllInterfaces = text 0 | fixed
  ShapingRate   = native qos.shaping_rate

table Device.QoS.QueueStats.{i}.
  each ubus netlink qdisc /qdisc key /dev where item /parent == root where item /kind != noqueue where key | native link.port

  Enable                = text 1 | fixed
  Status                = text Enabled
  Queue                 = key | ref Device.QoS.Queue.{i}.
  Interface             = key | native link.port
  OutputPackets         = item /packets | native row.counter
  OutputBytes           = item /bytes | native row.counter
  DroppedPackets        = item /drops
  QueueOccupancyPackets = item /qlen

table Device.QoS.Shaper.{i}.
  each uci sqm.queue
  new set qdisc cake
  new set script piece_of_cake.qos

  Enable       = option enabled | default 0
  Status       = option enabled | default 0 | map 1:Enabled *:Disabled
  Interface    = option interface | ref Device.Ethernet.Link.{i}.
  # What goes out. UCI counts in kbit/s.
  ShapingRate  = option upload | mul 1000
