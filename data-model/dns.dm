# Names: the servers the router asks (netifd), and dnsmasq, which asks them for everybody.

object Device.DNS.
  SupportedRecordTypes = list /etc/rc.d | has S19dnsmasq | map 1:A,AAAA,SRV,PTR

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

object Device.DNS.Diagnostics.
  NSLookupDiagnostics() = operation ns_lookup

object Device.DNS.Relay.
  when uci dhcp.@dnsmasq[0].leasefile

  Enable = list /etc/rc.d | has S19dnsmasq
  Status = list /etc/rc.d | has S19dnsmasq | map 1:Enabled 0:Disabled

table Device.DNS.Relay.Config.{i}.
  each text dnsmasq

  Forwarders  = native dns.forwarders
  Interface   = uci dhcp.@dnsmasq[0].interface[0] | ref Device.IP.Interface.{i}.
  CacheSize   = uci dhcp.@dnsmasq[0].cachesize | default 150
  CacheMinTTL = uci dhcp.@dnsmasq[0].min_cache_ttl
  CacheMaxTTL = uci dhcp.@dnsmasq[0].max_cache_ttl
  # SIGHUP: dnsmasq forgets what it was told.
  FlushCache() = ubus service signal {"name":"dnsmasq","signal":1}

table Device.DNS.Relay.Forwarding.{i}.
  each native dns.forwarding
  new native dns.forwarding

  Enable    = native row.always
  Status    = text Enabled
  DNSServer = native dns.server
  Interface = item /interface | ref Device.IP.Interface.{i}.
  Type      = item /type

# The home's own domain, and names stated in it.
table Device.DNS.Zone.{i}.
  each text dnsmasq where uci dhcp.@dnsmasq[0].domain

  Enable    = native row.always
  Name      = native dns.zone
  Interface = uci dhcp.@dnsmasq[0].interface[0] | ref Device.IP.Interface.{i}.

table Device.DNS.Zone.{i}.Host.{i}.
  each uci dhcp.domain

  Enable = native row.always
  Name   = option name | native words
  Origin = option Origin | default User
  Host   = option ip | native hosts.of_address | ref Device.Hosts.Host.{i}.

# DNS-SD, where umdns is installed.
object Device.DNS.SD.
  when uci umdns.@umdns[0].network

  Enable              = list /etc/rc.d | has S80umdns
  Status              = list /etc/rc.d | has S80umdns | map 1:Enabled 0:Disabled
  AdvertisedInterfaces = uci umdns.@umdns[0].network | ref Device.IP.Interface.{i}. | list

table Device.DNS.SD.Advertise.{i}.
  each native discovery.announced

  Enable              = item | exists
  Status              = item | exists | map 1:Enabled
  # On every network umdns is told of; with several there is no one to name.
  Interface           = uci umdns.@umdns[0].network[1] | map *:""
                     or uci umdns.@umdns[0].network[0] | ref Device.IP.Interface.{i}.
  ApplicationProtocol = item /application
  TransportProtocol   = item /transport
  Domain              = text local
  Port                = item /port

table Device.DNS.SD.Advertise.{i}.TextRecord.{i}.
  each item /txt

  Key   = key | before =
  Value = key | after =

table Device.DNS.SD.Service.{i}.
  each native discovery.found
  let host = item /host

  InstanceName        = item /name
  ApplicationProtocol = item /application
  TransportProtocol   = item /transport
  Domain              = item /domain
                     or text local
  Port                = item /port
  Target              = text {host}.
  # What said goodbye, or was not heard of in time, umdns forgets.
  Status              = item | exists | map 1:LeaseActive
  LastUpdate          = item /last_update | native discovery.utc
  Host                = item /ipv4/0 | native hosts.of_address | ref Device.Hosts.Host.{i}.
  TimeToLive          = item /ttl
  Priority            = item /priority
  Weight              = item /weight

table Device.DNS.SD.Service.{i}.TextRecord.{i}.
  each item /txt

  Key   = key | before =
  Value = key | after =
