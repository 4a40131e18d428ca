# Sockets of the router, and the layer-2 devices that IP interfaces stand on.

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
  let stats = ubus network.device status /{key}/statistics

  BytesSent                = $stats /tx_bytes   or file /sys/class/net/{key}/statistics/tx_bytes
  BytesReceived            = $stats /rx_bytes   or file /sys/class/net/{key}/statistics/rx_bytes
  PacketsSent              = $stats /tx_packets or file /sys/class/net/{key}/statistics/tx_packets
  PacketsReceived          = $stats /rx_packets or file /sys/class/net/{key}/statistics/rx_packets
  ErrorsSent               = $stats /tx_errors  or file /sys/class/net/{key}/statistics/tx_errors
  ErrorsReceived           = $stats /rx_errors  or file /sys/class/net/{key}/statistics/rx_errors
  DiscardPacketsSent       = $stats /tx_dropped or file /sys/class/net/{key}/statistics/tx_dropped
  DiscardPacketsReceived   = $stats /rx_dropped or file /sys/class/net/{key}/statistics/rx_dropped
  MulticastPacketsReceived = $stats /multicast  or file /sys/class/net/{key}/statistics/multicast
  Collisions               = $stats /collisions or file /sys/class/net/{key}/statistics/collisions

# One per device that an IP interface names: a socket, a bridge, a VLAN.
table Device.Ethernet.Link.{i}.
  each native ethernet.links

  Enable      = ubus network.device status /{key}/present
  Status      = file /sys/class/net/{key}/operstate | map up:Up down:Down dormant:Dormant lowerlayerdown:LowerLayerDown notpresent:NotPresent *:Unknown
             or text NotPresent
  Name        = key
  # A bridge stands on bridge ports, which are not Ethernet interfaces.
  LowerLayers = key | ref Device.Ethernet.Interface.{i}.
  MTU         = file /sys/class/net/{key}/mtu
  MACAddress  = file /sys/class/net/{key}/address | upper

object Device.Ethernet.Link.{i}.Stats.
  let stats = ubus network.device status /{key}/statistics

  BytesSent                = $stats /tx_bytes   or file /sys/class/net/{key}/statistics/tx_bytes
  BytesReceived            = $stats /rx_bytes   or file /sys/class/net/{key}/statistics/rx_bytes
  PacketsSent              = $stats /tx_packets or file /sys/class/net/{key}/statistics/tx_packets
  PacketsReceived          = $stats /rx_packets or file /sys/class/net/{key}/statistics/rx_packets
  ErrorsSent               = $stats /tx_errors  or file /sys/class/net/{key}/statistics/tx_errors
  ErrorsReceived           = $stats /rx_errors  or file /sys/class/net/{key}/statistics/rx_errors
  DiscardPacketsSent       = $stats /tx_dropped or file /sys/class/net/{key}/statistics/tx_dropped
  DiscardPacketsReceived   = $stats /rx_dropped or file /sys/class/net/{key}/statistics/rx_dropped
  MulticastPacketsReceived = $stats /multicast  or file /sys/class/net/{key}/statistics/multicast
