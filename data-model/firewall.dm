# The packet filter: rules of /etc/config/firewall (fw3, fw4), one chain in the order of the file.

object Device.Firewall.
  when uci firewall.@zone[0].name

  Enable        = list /etc/rc.d | has S19firewall
  Config        = text Advanced
  AdvancedLevel = text rules | ref Device.Firewall.Level.{i}.
  Type          = text Stateful

table Device.Firewall.Level.{i}.
  each text rules

  Name          = key
  Chain         = key | ref Device.Firewall.Chain.{i}.
  # What is forwarded between networks in no zone; a zone has its own.
  DefaultPolicy = uci firewall.@defaults[0].forward | default DROP | upper | map DROP:Drop ACCEPT:Accept REJECT:Reject

table Device.Firewall.Chain.{i}.
  each text rules

  Enable  = native row.always
  Name    = key
  Creator = text Defaults

# Without a source a rule is for what the router itself sends, without a destination for what it receives.
table Device.Firewall.Chain.{i}.Rule.{i}.
  each uci firewall.rule where option target | upper | map DROP:1 ACCEPT:1 REJECT:1 where key | before _ | map pinhole:0 service:0 access:0 *:1 == 1
  new set target DROP
  new set proto all

  Enable              = option enabled | default 1
  Status              = option enabled | default 1 | map 0:Disabled *:Enabled
  Order               = native firewall.order
  Description         = option name
  Target              = option target | upper | map DROP:Drop ACCEPT:Accept REJECT:Reject
  Log                 = option log | default 0 | map 0:0 1:1 *:1
  # UCI has an end in the local time of the router: that is one not known here.
  ExpiryDate          = option stop_date | exists | map 0:9999-12-31T23:59:59Z 1:0001-01-01T00:00:00Z | fixed
  SourceInterface     = option src | native firewall.network | ref Device.IP.Interface.{i}.
  SourceAllInterfaces = option src | native firewall.any | default 0
  DestInterface       = option dest | native firewall.network | ref Device.IP.Interface.{i}.
  DestAllInterfaces   = option dest | native firewall.any | default 0
  IPVersion           = option family | default any | map ipv4:4 ipv6:6 any:-1
  DestIP              = option dest_ip | native firewall.address
  DestMask            = option dest_ip | native firewall.mask
  DestIPExclude       = option dest_ip | native firewall.not | default 0
  DestMatchSet        = option ipset | native firewall.set_dest | ref Device.Firewall.Set.{i}.
  DestMatchSetExclude = option ipset | native firewall.set_not_dest | ref Device.Firewall.Set.{i}.
  SourceIP            = option src_ip | native firewall.address
  SourceMask          = option src_ip | native firewall.mask
  SourceIPExclude     = option src_ip | native firewall.not | default 0
  SourceMatchSet      = option ipset | native firewall.set_source | ref Device.Firewall.Set.{i}.
  SourceMatchSetExclude = option ipset | native firewall.set_not_source | ref Device.Firewall.Set.{i}.
  # Several protocols (TCP and UDP, also where none is stated) have no number: -1.
  Protocol            = option proto | native firewall.protocol | default -1
  ProtocolExclude     = option proto | native firewall.not | default 0
  DestPort            = native firewall.dest_port
  DestPortRangeMax    = native firewall.dest_port_max
  DestPortExclude     = option dest_port | native firewall.not | default 0
  SourcePort          = native firewall.source_port
  SourcePortRangeMax  = native firewall.source_port_max
  SourcePortExclude   = option src_port | native firewall.not | default 0
  DSCP                = option dscp | native firewall.dscp | default -1
  DSCPExclude         = option dscp | native firewall.not | default 0
  SourceMAC           = option src_mac | native firewall.mac
  SourceMACExclude    = option src_mac | native firewall.not | default 0

# Pinholes, services and hosts in the DMZ are the rules and redirects whose sections are named so. What is not filled in
# names a zone or an address that is not there, so that fw4 makes nothing of it.
table Device.Firewall.Pinhole.{i}.
  each uci firewall.rule where key | before _ == pinhole
  new name pinhole
  new set enabled 0
  new set src -
  new set dest *
  new set dest_ip 0.0.0.0
  new set target ACCEPT
  let src  = option src | native firewall.network
  let host = option dest_ip | native firewall.host

  Enable             = option enabled | default 1
  Status             = option enabled | default 1 | map 0:Disabled
                    or text {src}{host} | map *:Enabled
                    or text Error_Misconfigured
  Origin             = text Controller | fixed
  Description        = option name
  Interface          = option src | native firewall.inbound | ref Device.IP.Interface.{i}.
  LeaseDuration      = text 0 | fixed
  RemainingLeaseTime = text 0
  IPVersion          = option family | default any | map ipv4:4 ipv6:6 any:-1
  Protocol           = option proto | default tcpudp | native firewall.protocols | list
  SourcePort         = native firewall.source_port
  SourcePortRangeMax = native firewall.source_port_max
  DestPort           = native firewall.dest_port
  DestPortRangeMax   = native firewall.dest_port_max
  SourcePrefixes     = option src_ip | list
  DestIP             = option dest_ip | native firewall.host
  Log                = option log | default 0 | map 0:0 1:1 *:1

table Device.Firewall.DMZ.{i}.
  each uci firewall.redirect where key | before _ == dmz
  new name dmz
  new set enabled 0
  new set src -
  new set dest_ip !0.0.0.0
  new set target DNAT
  new set family ipv4
  new set proto all
  # For what comes in, not for the home that asks for the router's own address.
  new set reflection 0
  let src  = option src | native firewall.network
  let host = option dest_ip | native firewall.host

  Enable             = option enabled | default 1
  Status             = option enabled | default 1 | map 0:Disabled
                    or text {src}{host} | map *:Enabled
                    or text Error_Misconfigured
  Origin             = text Controller | fixed
  Description        = option name
  Interface          = option src | native firewall.inbound | ref Device.IP.Interface.{i}.
  LeaseDuration      = text 0 | fixed
  RemainingLeaseTime = text 0
  DestIP             = option dest_ip | native firewall.host
  SourcePrefix       = option src_ip
  Log                = option log | default 0 | map 0:0 1:1 *:1

table Device.Firewall.Service.{i}.
  each uci firewall.rule where key | before _ == service
  new name service
  new set enabled 0
  new set src -
  new set target ACCEPT
  let src = option src | native firewall.network

  Enable         = option enabled | default 1
  Status         = option enabled | default 1 | map 0:Disabled
                or $src | map *:Enabled
                or text Error_Misconfigured
  Interface      = option src | native firewall.inbound | ref Device.IP.Interface.{i}.
  IPVersion      = option family | default any | map ipv4:4 ipv6:6 any:-1
  Protocol       = option proto | default tcpudp | native firewall.protocols | list
  DestPort       = native firewall.dest_ports
  ICMPType       = option icmp_type | default -1 | native firewall.icmp
  SourcePrefixes = option src_ip | list
  Action         = option target | upper | map ACCEPT:Accept DROP:Drop REJECT:Reject
  Log            = option log | default 0 | map 0:0 1:1 *:1

# What a forwarding lets from one zone into another.
table Device.Firewall.Policy.{i}.
  each uci firewall.forwarding
  new set enabled 0
  let src  = option src
  let dest = option dest

  Enable               = option enabled | default 1
  Status               = option enabled | default 1 | map 0:Disabled
                      or text {src}{dest} | map *:Enabled
                      or text Error_Misconfigured
  SourceInterface      = option src | native firewall.network | ref Device.IP.Interface.{i}.
  DestinationInterface = option dest | native firewall.network | ref Device.IP.Interface.{i}.
  IPVersion            = option family | default any | map ipv4:4 ipv6:6 any:-1
  TargetChain          = text Accept | fixed
  ReverseTargetChain   = native firewall.reverse

# As of NAT: a zone is set for all its networks.
table Device.Firewall.InterfaceSetting.{i}.
  each native firewall.networks
  let zone = item /zone
  let dev  = ubus network.interface dump /interface[interface={key}]/l3_device

  # Without its zone an interface would have the rules for those in none.
  Enable                         = uci firewall.{zone}.enabled | default 1 | fixed
  Status                         = uci firewall.{zone}.enabled | default 1 | map 0:Disabled *:Enabled
  Interface                      = key | ref Device.IP.Interface.{i}.
  IPv4SpoofingProtection         = native firewall.rp_filter
  IPv4AcceptICMPEchoRequest      = native firewall.echo4
  IPv6AcceptICMPEchoRequest      = native firewall.echo6
  IPv6PassThroughICMPEchoRequest = native firewall.echo6_through
  StealthMode                    = uci firewall.{zone}.input | native firewall.stealth
                                or uci firewall.@defaults[0].input | native firewall.stealth

table Device.Firewall.Set.{i}.
  each uci firewall.ipset
  new set match src_net

  Enable    = option enabled | default 1
  # Sections that the agent made have their names of it.
  Origin    = key | before _ | map ipset:Controller *:User | fixed
  Name      = option name
  Type      = native firewall.set_type
  IPVersion = option family | default ipv4 | native firewall.family

table Device.Firewall.Set.{i}.Rule.{i}.
  each native firewall.set_rules
  new native firewall.set_rules

  IPAddressList  = native firewall.set_addresses
  MACAddressList = native firewall.set_macs
  PortList       = native firewall.set_ports

# What a zone drops or rejects, in the kernel's log.
table Device.Firewall.Log.{i}.
  each native firewall.zones
  let zone = item /zone

  Enable      = uci firewall.{zone}.log | default 0 | map 0:0 1:1 *:1
  Description = key
  Severity    = text Warning

object Device.Firewall.Log.{i}.Filter.
  Policy          = text Denied
  SourceInterface = key | native firewall.network | ref Device.IP.Interface.{i}.

# Helpers whose modules are loaded. A zone has those it names, else all where it does not masquerade.
object Device.Firewall.ConnectionTracking.FTP.
  when list /sys/module | has nf_conntrack_ftp == 1

  Enable = native firewall.helper
  Ports  = file /usr/share/firewall4/helpers | after "name 'ftp'" | line "option port" | unquote
  Loose  = file /sys/module/nf_conntrack_ftp/parameters/loose | map Y:1 N:0

object Device.Firewall.ConnectionTracking.H323.
  when list /sys/module | has nf_conntrack_h323 == 1

  Enable                 = native firewall.helper
  RegistrationRequestTTL = file /sys/module/nf_conntrack_h323/parameters/default_rrq_ttl
  GKRoutedOnly           = file /sys/module/nf_conntrack_h323/parameters/gkrouted_only
  CallForwardFilter      = file /sys/module/nf_conntrack_h323/parameters/callforward_filter | map Y:1 N:0

object Device.Firewall.ConnectionTracking.IRC.
  when list /sys/module | has nf_conntrack_irc == 1

  Enable         = native firewall.helper
  Ports          = file /usr/share/firewall4/helpers | after "name 'irc'" | line "option port" | unquote
  MAXDCCChannels = file /sys/module/nf_conntrack_irc/parameters/max_dcc_channels
  DCCTimeout     = file /sys/module/nf_conntrack_irc/parameters/dcc_timeout

object Device.Firewall.ConnectionTracking.PPTP.
  when list /sys/module | has nf_conntrack_pptp == 1

  Enable = native firewall.helper

object Device.Firewall.ConnectionTracking.SIP.
  when list /sys/module | has nf_conntrack_sip == 1

  Enable          = native firewall.helper
  Ports           = file /usr/share/firewall4/helpers | after "name 'sip'" | line "option port" | unquote
  DirectMedia     = file /sys/module/nf_conntrack_sip/parameters/sip_direct_media
  DirectSignaling = file /sys/module/nf_conntrack_sip/parameters/sip_direct_signalling
  ExternalMedia   = file /sys/module/nf_conntrack_sip/parameters/sip_external_media
  TimeOut         = file /sys/module/nf_conntrack_sip/parameters/sip_timeout

object Device.Firewall.ConnectionTracking.TFTP.
  when list /sys/module | has nf_conntrack_tftp == 1

  Enable = native firewall.helper
  Ports  = file /usr/share/firewall4/helpers | after "name 'tftp'" | line "option port" | unquote
