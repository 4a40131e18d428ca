# DHCP: interfaces that get their address (netifd), and the server (dnsmasq or odhcpd, /etc/config/dhcp).

table Device.DHCPv4.Client.{i}.
  each ubus network.interface dump /interface key /interface where item /proto == dhcp
  each uci network.interface where option proto == dhcp
  let if = ubus network.interface dump /interface[interface={key}]

  Enable      = uci network.{key}.disabled | default 0 | not
  Interface   = key | ref Device.IP.Interface.{i}.
  Status      = uci network.{key}.disabled | default 0 | not | map 1:Enabled 0:Disabled
  DHCPStatus  = $if /up | map 1:Bound 0:Selecting
             or text Init
  IPAddress   = $if /ipv4-address/0/address
  SubnetMask  = $if /ipv4-address/0/mask | netmask
  IPRouters   = $if /route[target=0.0.0.0]/nexthop
  DNSServers  = $if /dns-server
  DHCPServer  = $if /data/dhcpserver
  Renew()     = ubus network.interface.{key} renew

table Device.DHCPv4.Client.{i}.SentOption.{i}.
  each native dhcp.options
  new native dhcp.options

  Enable = native row.always
  Tag    = native dhcp.option_tag
  Value  = native dhcp.option_value

# Beside what udhcpc asks for by itself.
table Device.DHCPv4.Client.{i}.ReqOption.{i}.
  each native dhcp.options
  new native dhcp.options

  Enable = native row.always
  Order  = key
  Tag    = native dhcp.option_tag
  Value  = native dhcp.requested

object Device.DHCPv4.Server.
  Enable = native dhcp.server_enable

live file /tmp/dhcp.leases on file /tmp/dhcp.leases
live ubus dhcp ipv4leases on object dhcp

table Device.DHCPv4.Server.Pool.{i}.
  # Sections of odhcpd alone, see Device.DHCPv6, lease no IPv4 addresses.
  each uci dhcp.dhcp where option instance != odhcpd
  new set start 100
  new set limit 150
  new set leasetime 24h

  Enable      = option ignore | default 0 | not
  Status      = option ignore | default 0 | not | map 1:Enabled 0:Disabled
  Order       = native firewall.order
  Interface   = option interface | ref Device.IP.Interface.{i}.
  VendorClassID     = native dhcp.vendor_class
  VendorClassIDMode = text Substring
  UserClassID = native dhcp.user_class
  ClientID    = native dhcp.client_id
  Chaddr      = native dhcp.chaddr
  ChaddrMask  = native dhcp.chaddr_mask
  MinAddress  = native dhcp.min_address
  MaxAddress  = native dhcp.max_address
  SubnetMask  = native dhcp.mask
  DNSServers  = native dhcp.dns_servers
  DomainName  = native dhcp.domain
  IPRouters   = native dhcp.routers
  WINSServers = native dhcp.wins_servers
  LeaseTime   = native dhcp.lease_time

table Device.DHCPv4.Server.Pool.{i}.Option.{i}.
  each native dhcp.options
  new native dhcp.options

  Enable = native row.always
  Tag    = native dhcp.option_tag
  Value  = native dhcp.option_value

# UCI keeps hosts apart from pools: a host is shown in the pool its address lies in.
table Device.DHCPv4.Server.Pool.{i}.StaticAddress.{i}.
  each uci dhcp.host where native dhcp.in_pool
  new set pool {parent.key}

  Enable = native row.always
  Chaddr = option mac | upper
  Yiaddr = option ip

table Device.DHCPv4.Server.Pool.{i}.Client.{i}.
  each native dhcp.clients

  Chaddr = key
  Active = item /active

table Device.DHCPv4.Server.Pool.{i}.Client.{i}.IPv4Address.{i}.
  each item /addresses key /address

  IPAddress          = item /address
  LeaseTimeRemaining = item /expires | date
                    or text 9999-12-31T23:59:59Z

# Of what a client said dnsmasq keeps its identifier.
table Device.DHCPv4.Server.Pool.{i}.Client.{i}.Option.{i}.
  each item /options key /tag

  Tag   = key
  Value = item /value

object Device.DHCPv4.Relay.
  when uci dhcp.@dnsmasq[0].leasefile

  Enable = list /etc/rc.d | has S19dnsmasq
  Status = list /etc/rc.d | has S19dnsmasq | map 1:Enabled 0:Disabled

# A relay with IPv6 addresses is one of DHCPv6. dnsmasq tells the network by the address it has there.
table Device.DHCPv4.Relay.Forwarding.{i}.
  each uci dhcp.relay where option server_addr | default 0.0.0.0 | native ipv4.is
  let local = option local_addr

  Enable              = native row.always
  Status              = text {local} | map *:Enabled
                     or text Error_Misconfigured
  Order               = native firewall.order
  Interface           = option local_addr | native ipv4.interface | ref Device.IP.Interface.{i}.
  DHCPServerIPAddress = option server_addr
                     or option server_addr | before "#"
