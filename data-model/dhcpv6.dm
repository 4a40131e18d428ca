# DHCPv6: interfaces that ask for addresses and prefixes (odhcp6c), and the server (odhcpd, /etc/config/dhcp).

live ubus dhcp ipv6leases on object dhcp

table Device.DHCPv6.Client.{i}.
  each ubus network.interface dump /interface key /interface where item /proto == dhcpv6
  each uci network.interface where option proto == dhcpv6
  let device = ubus network.interface dump /interface[interface={key}]/device

  Enable           = uci network.{key}.disabled | default 0 | not
  Interface        = key | ref Device.IP.Interface.{i}.
  Status           = uci network.{key}.disabled | default 0 | not | map 1:Enabled 0:Disabled
  DUID             = uci network.{key}.clientid
                  or uci network.globals.dhcp_default_duid
  RequestAddresses = uci network.{key}.reqaddress | default try | map none:0 try:1 *:1
  RequestPrefixes  = uci network.{key}.reqprefix | default auto | map no:0 auto:1 *:1
  # odhcp6c asks for more by itself.
  RequestedOptions = uci network.{key}.reqopts | native words
  Renew()          = ubus network.interface.{key} renew

# Newer ones of odhcp6c tell of the server.
table Device.DHCPv6.Client.{i}.Server.{i}.
  each ubus odhcp6c.{device} get_state /SERVER

  SourceAddress = key

table Device.DHCPv6.Client.{i}.SentOption.{i}.
  each native dhcp.options
  new native dhcp.options

  Enable = native row.always
  Tag    = native dhcp.option_tag
  Value  = native dhcp.option_value

table Device.DHCPv6.Client.{i}.ReceivedOption.{i}.
  each native dhcp.received

  Tag   = native dhcp.option_tag
  Value = native dhcp.option_value

object Device.DHCPv6.Server.
  Enable = list /etc/rc.d | has S35odhcpd

# What dhcp sections say of DHCPv6; a section that is for IPv4 too stays when its pool is deleted here.
table Device.DHCPv6.Server.Pool.{i}.
  each uci dhcp.dhcp where option dhcpv6
  new native dhcp.six
  let interface = option interface
  let dev       = ubus network.interface dump /interface[interface={interface}]/l3_device

  Enable        = option dhcpv6 | map server:1 disabled:0 *:0
  Status        = option dhcpv6 | map server:Enabled *:Disabled
  Order         = native firewall.order
  Interface     = option interface | native dhcp.interface | ref Device.IP.Interface.{i}.
  IANAEnable    = option dhcpv6_na | default 1
  IANAPrefixes  = native ipv6.served_prefixes
  IAPDEnable    = option dhcpv6_pd | default 1
  IAPDPrefixes  = native ipv6.served_prefixes
  IAPDAddLength = native ipv6.added_length

# odhcpd hands them out as they stand on the wire.
table Device.DHCPv6.Server.Pool.{i}.Option.{i}.
  each native dhcp.options
  new native dhcp.options

  Enable = native row.always
  Tag    = native dhcp.option_tag
  Value  = native dhcp.option_value

table Device.DHCPv6.Server.Pool.{i}.Client.{i}.
  each ubus dhcp ipv6leases /device/{dev}/leases key /duid

  SourceAddress = native ipv6.client_address
  Active        = item /flags | has bound

# Of what a client said odhcpd keeps its DUID.
table Device.DHCPv6.Server.Pool.{i}.Client.{i}.Option.{i}.
  each text 1

  Tag   = key
  Value = text {parent.key}

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
