# Address translation: zones and redirects of /etc/config/firewall (fw3, fw4).

object Device.NAT.
  when uci firewall.@zone[0].name

# A zone translates for all its networks: what is set for one holds for those beside it.
table Device.NAT.InterfaceSetting.{i}.
  each native firewall.networks
  let zone = item /zone

  Enable                = uci firewall.{zone}.masq | default 0
  Status                = uci firewall.{zone}.masq | default 0 | map 1:Enabled *:Disabled
  Interface             = key | ref Device.IP.Interface.{i}.
  TCPTranslationTimeout = file /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established
  UDPTranslationTimeout = file /proc/sys/net/netfilter/nf_conntrack_udp_timeout

# A redirect is for the zone its interface is in. Without a port or a client of its own it leads to the same port, or
# to the router.
table Device.NAT.PortMapping.{i}.
  each uci firewall.redirect where option target | default DNAT | upper == DNAT
  new set target DNAT
  new set src wan
  let src    = option src
  let port   = option src_dport
  let client = option dest_ip

  Enable               = option enabled | default 1
  Status               = option enabled | default 1 | map 0:Disabled
                      or text {src}{port} | map *:Enabled
                      or text {src}{client} | map *:Enabled
                      or text Error_Misconfigured
  Interface            = option src | native firewall.network | ref Device.IP.Interface.{i}.
  RemoteHost           = option src_ip | native firewall.address
  ExternalPort         = option src_dport | native firewall.first | default 0
  ExternalPortEndRange = option src_dport | native firewall.last | default 0
  InternalPort         = option dest_port | native firewall.first
                      or option src_dport | native firewall.first
  # fw4 redirects both where none is stated, and a redirect for both is shown with the first.
  Protocol             = option proto | native firewall.transport
                      or text TCP
  InternalClient       = option dest_ip | native firewall.address
  Description          = option name
