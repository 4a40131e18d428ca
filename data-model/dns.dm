# Names: the servers the router asks (netifd), and dnsmasq, which asks them for everybody.

object Device.DNS.Client.
  Enable = text 1
  Status = text Enabled

# A created server is one of the interface to the world.
table Device.DNS.Client.Server.{i}.
  each native dns.servers
  new native dns.servers

  Enable    = native row.always
  Status    = text Enabled
  DNSServer = native dns.server
  Interface = item /interface | ref Device.IP.Interface.{i}.
  Type      = item /type

object Device.DNS.Relay.
  when uci dhcp.@dnsmasq[0].leasefile

  Enable = list /etc/rc.d | has S19dnsmasq
  Status = list /etc/rc.d | has S19dnsmasq | map 1:Enabled 0:Disabled

table Device.DNS.Relay.Config.{i}.
  each text dnsmasq

  CacheSize   = uci dhcp.@dnsmasq[0].cachesize | default 150
  CacheMinTTL = uci dhcp.@dnsmasq[0].min_cache_ttl
  CacheMaxTTL = uci dhcp.@dnsmasq[0].max_cache_ttl

table Device.DNS.Relay.Forwarding.{i}.
  each native dns.forwarding
  new native dns.forwarding

  Enable    = native row.always
  Status    = text Enabled
  DNSServer = native dns.server
  Interface = item /interface | ref Device.IP.Interface.{i}.
  Type      = item /type
