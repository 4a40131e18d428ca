# Bridges of /etc/config/network, what is plugged into them, and the VLANs they keep apart.

live ubus netlink link on event netlink.link

object Device.Bridging.
  MaxBridgeEntries  = native row.most
  MaxDBridgeEntries = native row.most
  MaxQBridgeEntries = native row.most
  MaxVLANEntries    = native row.most

table Device.Bridging.Bridge.{i}.
  each uci network.device where option type == bridge
  new set type bridge
  new set name br-{key}
  # So that it comes up before it has a port.
  new set bridge_empty 1
  let name = option name
  let link = ubus netlink link /link[dev={name}]

  Enable    = option enabled | default 1
  Status    = $link /dev | exists | map 1:Enabled 0:Disabled
  Name      = $name
  # netifd filters as soon as the bridge has a VLAN.
  Standard  = option vlan_filtering | map 1:802.1Q-2005 0:802.1D-2004
           or file /sys/class/net/{name}/bridge/vlan_filtering | map 1:802.1Q-2005 0:802.1D-2004
           or text 802.1D-2004
  AgingTime = option ageing_time
           or file /sys/class/net/{name}/bridge/ageing_time | div 100

object Device.Bridging.Bridge.{i}.STP.
  Enable          = option stp | default 0
  Status          = file /sys/class/net/{name}/bridge/stp_state | map 0:Disabled *:Enabled
                 or text Disabled
  BridgePriority  = option priority
                 or file /sys/class/net/{name}/bridge/priority
  # UCI counts seconds, TR-181 hundredths of them.
  HelloTime       = option hello_time | mul 100
                 or file /sys/class/net/{name}/bridge/hello_time
  MaxAge          = option max_age | mul 100
                 or file /sys/class/net/{name}/bridge/max_age
  ForwardingDelay = option forward_delay
                 or file /sys/class/net/{name}/bridge/forward_delay | div 100

# The bridge's own port first: what stands on the bridge stands on it. Wi-Fi is plugged in by netifd, not by UCI.
table Device.Bridging.Bridge.{i}.Port.{i}.
  each option name
  each option ports
  each ubus netlink link /link key /dev where item /master == {name}
  # A new one has a name of its own until it is said what it stands on.
  new native bridge.ports
  let port = ubus netlink link /link[dev={key}]

  Enable         = native row.always
  Status         = $port /operstate | map up:Up down:Down dormant:Dormant lowerlayerdown:LowerLayerDown notpresent:NotPresent *:Unknown
                or text NotPresent
  Name           = key
  LowerLayers    = native bridge.lower_layers
  ManagementPort = native bridge.management
  PortState      = file /sys/class/net/{key}/brport/state | map 0:Disabled 1:Listening 2:Learning 3:Forwarding 4:Blocking
                or $port /operstate | map up:Forwarding
  PathCost       = file /sys/class/net/{key}/brport/path_cost
  PVID           = native bridge.pvid
  # A bridge that filters takes what is without a tag only where that belongs to a VLAN.
  AcceptableFrameTypes = native bridge.frames
  IngressFiltering = file /sys/class/net/{name}/bridge/vlan_filtering

object Device.Bridging.Bridge.{i}.Port.{i}.Stats.
  let stats = $port /statistics
  let count = ubus netlink ethtool /ethtool[dev={key}]

  BytesSent                = $stats /tx_bytes
  BytesReceived            = $stats /rx_bytes
  PacketsSent              = $stats /tx_packets
  PacketsReceived          = $stats /rx_packets
  ErrorsSent               = $stats /tx_errors
  ErrorsReceived           = $stats /rx_errors
  DiscardPacketsSent       = $stats /tx_dropped
  DiscardPacketsReceived   = $stats /rx_dropped
  MulticastPacketsReceived = $stats /multicast
  # Where the driver tells them apart.
  UnicastPacketsSent       = $count /tx_unicast
  UnicastPacketsReceived   = $count /rx_unicast
  MulticastPacketsSent     = $count /tx_multicast
  BroadcastPacketsSent     = $count /tx_broadcast
  BroadcastPacketsReceived = $count /rx_broadcast

table Device.Bridging.Bridge.{i}.VLAN.{i}.
  each uci network.bridge-vlan where option device == {name}
  new set device {name}

  Enable = native row.always
  Name   = native row.name
  VLANID = option vlan

# UCI lists a VLAN's ports as `lan1`, `lan1:t` (tagged) and `lan1:u*` (of untagged frames that come in).
table Device.Bridging.Bridge.{i}.VLANPort.{i}.
  each native bridge.vlan_ports
  # A new one is a section that netifd passes over until it is said which port is in which VLAN.
  new native bridge.vlan_ports

  Enable   = native row.always
  VLAN     = native bridge.vlan
  Port     = native bridge.port
  Untagged = native bridge.untagged
