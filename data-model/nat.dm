# Address translation: zones and redirects of /etc/config/firewall (fw3, fw4).

object Device.NAT.
  when uci firewall.@zone[0].name

# A zone translates for all its networks: what is set for one holds for those beside it.
table Device.NAT.InterfaceSetting.{i}.
  each native firewall.translated
  let zone = item /zone

  Enable                = uci firewall.{zone}.masq | default 0
  Status                = uci firewall.{zone}.masq | default 0 | map 1:Enabled *:Disabled
  Interface             = key | ref Device.IP.Interface.{i}.
  TCPTranslationTimeout = file /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established
  UDPTranslationTimeout = file /proc/sys/net/netfilter/nf_conntrack_udp_timeout

# A redirect is for the zone its interface is in. Without a port or a client of its own it leads to the same port, or
# to the router.
table Device.NAT.PortMapping.{i}.
  each uci firewall.redirect where option target | default DNAT | upper == DNAT where key | before _ != dmz
  new set target DNAT
  new set src wan
  # Without a client a redirect would lead to the router itself: this one is for nobody yet.
  new set dest_ip !0.0.0.0
  # What a client has all of comes after what others have a part of.
  new before dmz
  let src    = option src
  let client = option dest_ip | default self | native firewall.host

  Enable               = option enabled | default 1
  Status               = option enabled | default 1 | map 0:Disabled
                      or text {src}{client} | map *:Enabled
                      or text Error_Misconfigured
  Interface            = option src | native firewall.network | ref Device.IP.Interface.{i}.
  # A redirect stays until it is deleted.
  LeaseDuration        = text 0 | fixed
  RemoteHost           = option src_ip | native firewall.address
  ExternalPort         = option src_dport | native firewall.first | default 0
  ExternalPortEndRange = option src_dport | native firewall.last | default 0
  InternalPort         = option dest_port | native firewall.first
                      or option src_dport | native firewall.first
  # fw4 redirects both where none is stated, and a redirect for both is shown with the first.
  Protocol             = option proto | native firewall.transport
                      or text TCP
  InternalClient       = option dest_ip | native firewall.host
  Description          = option name
