# DHCPv6: interfaces that ask for addresses and prefixes (odhcp6c), and the server (odhcpd, /etc/config/dhcp).

live ubus dhcp ipv6leases on object dhcp

table Device.DHCPv6.Client.{i}.
  each ubus network.interface dump /interface key /interface where item /proto == dhcpv6
  each uci network.interface where option proto == dhcpv6

  Enable           = uci network.{key}.disabled | default 0 | not
  Interface        = key | ref Device.IP.Interface.{i}.
  Status           = uci network.{key}.disabled | default 0 | not | map 1:Enabled 0:Disabled
  DUID             = uci network.{key}.clientid
                  or uci network.globals.dhcp_default_duid
  RequestAddresses = uci network.{key}.reqaddress | default try | map none:0 try:1 *:1
  RequestPrefixes  = uci network.{key}.reqprefix | default auto | map no:0 auto:1 *:1
  Renew()          = ubus network.interface.{key} renew

# The parts of dhcp sections that are for IPv6; the IPv4 pool of the same section makes and deletes it.
table Device.DHCPv6.Server.Pool.{i}.
  each native dhcp.pools6
  let interface = uci dhcp.{key}.interface
  let dev       = ubus network.interface dump /interface[interface={interface}]/l3_device

  Enable     = uci dhcp.{key}.dhcpv6 | map server:1 disabled:0 *:0
  Status     = uci dhcp.{key}.dhcpv6 | map server:Enabled *:Disabled
  Interface  = $interface | ref Device.IP.Interface.{i}.
  IANAEnable = uci dhcp.{key}.dhcpv6_na | default 1
  IAPDEnable = uci dhcp.{key}.dhcpv6_pd | default 1

table Device.DHCPv6.Server.Pool.{i}.Client.{i}.
  each ubus dhcp ipv6leases /device/{dev}/leases key /duid

  Active = item /flags | has bound

table Device.DHCPv6.Server.Pool.{i}.Client.{i}.IPv6Address.{i}.
  each item /ipv6-addr key /address

  IPAddress         = key
  PreferredLifetime = item /preferred-lifetime | mul -1 | ago
  ValidLifetime     = item /valid-lifetime | mul -1 | ago

table Device.DHCPv6.Server.Pool.{i}.Client.{i}.IPv6Prefix.{i}.
  each item /ipv6-prefix key /address
  let length = item /prefix-length

  Prefix            = text {key}/{length}
  PreferredLifetime = item /preferred-lifetime | mul -1 | ago
  ValidLifetime     = item /valid-lifetime | mul -1 | ago
