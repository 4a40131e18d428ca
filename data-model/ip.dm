# IP interfaces: what netifd calls an interface (/etc/config/network), and those that protocols add by themselves.

object Device.IP.
  IPv4Capable = list /proc/sys/net/ipv4 | exists
  IPv4Enable  = list /proc/sys/net/ipv4 | exists
  IPv4Status  = list /proc/sys/net/ipv4 | exists | map 1:Enabled 0:Disabled
  IPv6Capable = list /proc/sys/net/ipv6 | exists
  IPv6Enable  = file /proc/sys/net/ipv6/conf/all/disable_ipv6 | not
             or text 0
  IPv6Status  = file /proc/sys/net/ipv6/conf/all/disable_ipv6 | not | map 1:Enabled 0:Disabled
             or text Disabled
  ULAPrefix   = uci network.globals.ula_prefix

object Device.IP.Diagnostics.
  IPv4PingSupported       = list /proc/sys/net/ipv4 | exists
  IPv6PingSupported       = list /proc/sys/net/ipv6 | exists
  IPPing()                = operation ip_ping
  IPv4TraceRouteSupported = list /proc/sys/net/ipv4 | exists
  IPv6TraceRouteSupported = list /proc/sys/net/ipv6 | exists
  TraceRoute()            = operation trace_route
  IPv4UDPEchoDiagnosticsSupported         = list /proc/sys/net/ipv4 | exists
  IPv6UDPEchoDiagnosticsSupported         = list /proc/sys/net/ipv6 | exists
  UDPEchoDiagnosticsMaxResults            = text 256
  UDPEchoDiagnostics()                    = operation udp_echo
  IPv4ServerSelectionDiagnosticsSupported = list /proc/sys/net/ipv4 | exists
  IPv6ServerSelectionDiagnosticsSupported = list /proc/sys/net/ipv6 | exists
  ServerSelectionDiagnostics()            = operation server_selection
  IPv4DownloadDiagnosticsSupported        = list /proc/sys/net/ipv4 | exists
  IPv6DownloadDiagnosticsSupported        = list /proc/sys/net/ipv6 | exists
  IPLayerCapacitySupported                = text 0
  DownloadTransports                      = text HTTP
  DownloadDiagnosticMaxConnections        = text 8
  # As many as there are seconds in the longest test.
  DownloadDiagnosticsMaxIncrementalResult = text 999
  DownloadDiagnostics()                   = operation download
  IPv4UploadDiagnosticsSupported          = list /proc/sys/net/ipv4 | exists
  IPv6UploadDiagnosticsSupported          = list /proc/sys/net/ipv6 | exists
  UploadTransports                        = text HTTP
  UploadDiagnosticsMaxConnections         = text 8
  UploadDiagnosticsMaxIncrementalResult   = text 999
  UploadDiagnostics()                     = operation upload

object Device.IP.Diagnostics.UDPEchoConfig.
  Enable                  = uci usp-agent.@udpecho[0].Enable | default 0
  Interface               = uci usp-agent.@udpecho[0].Interface | ref Device.IP.Interface.{i}.
  SourceIPAddress         = uci usp-agent.@udpecho[0].SourceIPAddress
  UDPPort                 = uci usp-agent.@udpecho[0].UDPPort | default 7
  EchoPlusEnabled         = uci usp-agent.@udpecho[0].EchoPlusEnabled | default 0
  EchoPlusSupported       = text 1
  PacketsReceived         = agent udp_echo.PacketsReceived | default 0
  PacketsResponded        = agent udp_echo.PacketsResponded | default 0
  BytesReceived           = agent udp_echo.BytesReceived | default 0
  BytesResponded          = agent udp_echo.BytesResponded | default 0
  TimeFirstPacketReceived = agent udp_echo.TimeFirstPacketReceived | default 0001-01-01T00:00:00Z
  TimeLastPacketReceived  = agent udp_echo.TimeLastPacketReceived | default 0001-01-01T00:00:00Z

live ubus network.interface dump on event network.interface

table Device.IP.Interface.{i}.
  each uci network.interface
  each ubus network.interface dump /interface key /interface
  new set proto static
  let if     = ubus network.interface dump /interface[interface={key}]
  let l3     = ubus network.interface dump /interface[interface={key}]/l3_device

  Enable      = option disabled | default 0 | not
  Status      = $if /up | map 1:Up
             or $if /errors/0/code | map NO_DEVICE:NotPresent *:Error
             or text Down
  Name        = key
  LastChange  = $if /uptime
  LowerLayers = native ip.lower_layers
  # Protocols that give an interface IPv6 alone.
  IPv4Enable  = $if /proto | map dhcpv6:0 6in4:0 6to4:0 6rd:0 none:0 *:1
             or option proto | map dhcpv6:0 6in4:0 6to4:0 6rd:0 none:0 *:1
  IPv6Enable  = ubus network.device status /{l3}/ipv6
  ULAEnable   = native ipv6.ula
  MaxMTUSize  = ubus netlink link /link[dev={l3}]/mtu
  Type        = $l3 | map lo:Loopback
             or $if /proto | map 6in4:Tunnel 6to4:Tunnel 6rd:Tunnel dslite:Tunnel map:Tunnel gre:Tunnel ipip:Tunnel *:Normal
  Loopback    = $l3 | map lo:1 *:0
             or option device | map lo:1 *:0
  Reset()     = agent restart_interface

object Device.IP.Interface.{i}.Stats.
  let stats = ubus netlink link /link[dev={l3}]/statistics

  BytesSent                = $stats /tx_bytes
  BytesReceived            = $stats /rx_bytes
  PacketsSent              = $stats /tx_packets
  PacketsReceived          = $stats /rx_packets
  ErrorsSent               = $stats /tx_errors
  ErrorsReceived           = $stats /rx_errors
  DiscardPacketsSent       = $stats /tx_dropped
  DiscardPacketsReceived   = $stats /rx_dropped
  MulticastPacketsReceived = $stats /multicast

# Addresses of a static interface stand in UCI, in either way that OpenWrt writes them; others come from netifd.
table Device.IP.Interface.{i}.IPv4Address.{i}.
  each native ipv4.addresses
  new native ipv4.addresses

  Enable         = native row.always
  Status         = native ipv4.status
  IPAddress      = native ipv4.address
  SubnetMask     = native ipv4.mask
  AddressingType = item /type

table Device.IP.Interface.{i}.IPv6Address.{i}.
  each $if /ipv6-address key /address
  each $if /ipv6-prefix-assignment key /local-address/address where item /local-address
  let proto = $if /proto
  let mask  = item /mask

  Enable            = item | exists
  Status            = item | exists | map 1:Enabled
  IPAddressStatus   = item /preferred | map 0:Deprecated *:Preferred
                   or text Preferred
  IPAddress         = key
  # odhcp6c gives an address that a server leased 128 bits, one that it made of an advertisement 64.
  Origin            = item /local-address | exists | map 1:AutoConfigured
                   or text {proto}/{mask} | map dhcpv6/128:DHCPv6
                   or $proto | map static:Static *:AutoConfigured
  PreferredLifetime = item /preferred | mul -1 | ago
                   or text 9999-12-31T23:59:59Z
  ValidLifetime     = item /valid | mul -1 | ago
                   or text 9999-12-31T23:59:59Z

table Device.IP.Interface.{i}.IPv6Prefix.{i}.
  each $if /ipv6-prefix key /address
  each $if /ipv6-prefix-assignment key /address
  let mask = item /mask

  Enable            = item | exists
  Status            = item | exists | map 1:Enabled
  PrefixStatus      = item /preferred | map 0:Deprecated *:Preferred
                   or text Preferred
  Prefix            = text {key}/{mask}
  # A prefix with an address of ours in it was cut from one that the interface above was given.
  Origin            = item /local-address | exists | map 1:Child 0:PrefixDelegation
  PreferredLifetime = item /preferred | mul -1 | ago
                   or text 9999-12-31T23:59:59Z
  ValidLifetime     = item /valid | mul -1 | ago
                   or text 9999-12-31T23:59:59Z
