# Sockets of the router, and the layer-2 devices that IP interfaces stand on.

live ubus netlink link on event netlink.link

# Network devices with hardware behind them: not the ports a switch has towards the CPU, not Wi-Fi, not modems.
table Device.Ethernet.Interface.{i}.
  each list /sys/class/net where link /sys/class/net/{key}/phy80211 == "" where file /sys/class/net/{key}/dsa/tagging == "" where file /sys/class/net/{key}/type == 1 where link /sys/class/net/{key}/device
  let device = ubus network.device status /{key}

  Enable            = native ethernet.enable
  Status            = file /sys/class/net/{key}/operstate | map up:Up down:Down dormant:Dormant lowerlayerdown:LowerLayerDown notpresent:NotPresent *:Unknown
  Name              = key
  Upstream          = native ethernet.upstream
  MACAddress        = file /sys/class/net/{key}/address | upper
  MaxBitRate        = $device /autoneg | map 1:-1
                   or file /sys/class/net/{key}/speed
  CurrentBitRate    = file /sys/class/net/{key}/speed
                   or text 0
  DuplexMode        = $device /autoneg | map 1:Auto
                   or file /sys/class/net/{key}/duplex | map full:Full half:Half
  CurrentDuplexMode = file /sys/class/net/{key}/duplex | map full:Full half:Half *:Unknown
                   or text Unknown

object Device.Ethernet.Interface.{i}.Stats.
  let stats = ubus netlink link /link[dev={key}]/statistics
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
  Collisions               = $stats /collisions
  # Where the driver tells them apart.
  UnicastPacketsSent       = $count /tx_unicast
  UnicastPacketsReceived   = $count /rx_unicast
  MulticastPacketsSent     = $count /tx_multicast
  BroadcastPacketsSent     = $count /tx_broadcast
  BroadcastPacketsReceived = $count /rx_broadcast

# What each socket has received: RFC 2819 as far as the kernel counts it.
table Device.Ethernet.RMONStats.{i}.
  each list /sys/class/net where link /sys/class/net/{key}/phy80211 == "" where file /sys/class/net/{key}/dsa/tagging == "" where file /sys/class/net/{key}/type == 1 where link /sys/class/net/{key}/device
  let stats = ubus netlink link /link[dev={key}]/statistics
  let count = ubus netlink ethtool /ethtool[dev={key}]

  # The kernel counts always.
  Enable                = text 1
  Status                = text Enabled
  Name                  = key
  Interface             = key | ref Device.Ethernet.Interface.{i}.
  Bytes                 = $stats /rx_bytes
  Packets               = native ethernet.rmon_packets
  BroadcastPackets      = $count /rx_broadcast
  MulticastPackets      = $count /rx_multicast
                       or $stats /multicast
  CRCErroredPackets     = $count /rx_crc_errors
                       or $stats /rx_crc_errors
  UndersizePackets      = $count /rx_undersize
  OversizePackets       = $count /rx_oversize
  Packets64Bytes        = $count /upto_64
  Packets65to127Bytes   = $count /upto_127
  Packets128to255Bytes  = $count /upto_255
  Packets256to511Bytes  = $count /upto_511
  Packets512to1023Bytes = $count /upto_1023
  Packets1024to1518Bytes = $count /upto_1518

# One per device that an IP interface or a VLAN stands on: a socket, a bridge.
table Device.Ethernet.Link.{i}.
  each native ethernet.links

  Enable      = ubus network.device status /{key}/present
  Status      = file /sys/class/net/{key}/operstate | map up:Up down:Down dormant:Dormant lowerlayerdown:LowerLayerDown notpresent:NotPresent *:Unknown
             or text NotPresent
  Name        = key
  # A bridge stands on its own port, the one that has its name.
  LowerLayers = key | ref Device.Ethernet.Interface.{i}.
             or key | ref Device.Bridging.Bridge.{i}.Port.{i}.
  MTU         = file /sys/class/net/{key}/mtu
  MACAddress  = file /sys/class/net/{key}/address | upper

object Device.Ethernet.Link.{i}.Stats.
  let stats = ubus netlink link /link[dev={key}]/statistics
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

# VLANs that IP interfaces stand on: those with a section of their own, and those that are only named (`eth0.5`).
table Device.Ethernet.VLANTermination.{i}.
  each uci network.device where option type == 8021q
  each uci network.device where option type == 8021ad
  each native ethernet.vlans
  new set type 8021q
  new set name {key}
  let dev  = option name or key
  let link = ubus netlink link /link[dev={dev}]

  Enable      = option enabled | default 1
  Status      = $link /operstate | map up:Up down:Down dormant:Dormant lowerlayerdown:LowerLayerDown *:Unknown
             or text NotPresent
  Name        = $dev
  LowerLayers = option ifname | ref Device.Ethernet.Link.{i}.
             or item /base | ref Device.Ethernet.Link.{i}.
  VLANID      = option vid
             or item /vid
  TPID        = option type | map 8021q:33024 8021ad:34984
             or text 33024

object Device.Ethernet.VLANTermination.{i}.Stats.
  let stats = $link /statistics

  BytesSent                = $stats /tx_bytes
  BytesReceived            = $stats /rx_bytes
  PacketsSent              = $stats /tx_packets
  PacketsReceived          = $stats /rx_packets
  ErrorsSent               = $stats /tx_errors
  ErrorsReceived           = $stats /rx_errors
  DiscardPacketsSent       = $stats /tx_dropped
  DiscardPacketsReceived   = $stats /rx_dropped
  MulticastPacketsReceived = $stats /multicast
