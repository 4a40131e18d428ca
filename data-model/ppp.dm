# PPP over Ethernet: interfaces of /etc/config/network that speak it. Each is the IP interface above it too.

object Device.PPP.
  SupportedNCPs = list /proc/sys/net/ipv6 | exists | map 1:IPCP,IPv6CP 0:IPCP

table Device.PPP.Interface.{i}.
  each uci network.interface where option proto == pppoe
  new set proto pppoe
  let if = ubus network.interface dump /interface[interface={key}]
  let l3 = ubus network.interface dump /interface[interface={key}]/l3_device

  Enable              = option disabled | default 0 | not
  Status              = $if /up | map 1:Up
                     or $if /errors/0/code | map NO_DEVICE:NotPresent
                     or text Down
  Name                = key
  LastChange          = $if /uptime
  LowerLayers         = native ppp.lower_layers
  ConnectionStatus    = $if /up | map 1:Connected
                     or $if /pending | map 1:Connecting
                     or text Disconnected
  # How pppd ended, as netifd's script names it.
  LastConnectionError = $if /errors/0/code | map AUTH_TOPEER_FAILED:ERROR_AUTHENTICATION_FAILURE PEER_AUTH_FAILED:ERROR_AUTHENTICATION_FAILURE CNID_AUTH_FAILED:ERROR_AUTHENTICATION_FAILURE USER_REQUEST:ERROR_USER_DISCONNECT IDLE_TIMEOUT:ERROR_IDLE_DISCONNECT PEER_DEAD:ERROR_ISP_TIME_OUT HANGUP:ERROR_ISP_DISCONNECT CONNECT_FAILED:ERROR_NO_ANSWER NO_DEVICE:ERROR_NO_CARRIER *:ERROR_UNKNOWN
                     or text ERROR_NONE
  Username            = option username
  Password            = option password
  IdleDisconnectTime  = option demand | default 0
  ConnectionTrigger   = option demand | default 0 | map 0:AlwaysOn *:OnDemand
  MaxMRUSize          = option mtu
                     or ubus netlink link /link[dev={l3}]/mtu
  CurrentMRUSize      = ubus netlink link /link[dev={l3}]/mtu
  IPv6CPEnable        = option ipv6 | default auto | map auto:1 0:0 *:1
  Reset()             = agent restart_interface

object Device.PPP.Interface.{i}.PPPoE.
  SessionID   = native ppp.session
  ACName      = option ac
  ServiceName = option service

object Device.PPP.Interface.{i}.IPCP.
  LocalIPAddress  = $if /ipv4-address/0/address
  RemoteIPAddress = $if /ipv4-address/0/ptpaddress
  DNSServers      = $if /dns-server

object Device.PPP.Interface.{i}.IPv6CP.
  LocalInterfaceIdentifier  = native ipv6.local_identifier
  RemoteInterfaceIdentifier = native ipv6.remote_identifier

object Device.PPP.Interface.{i}.Stats.
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
