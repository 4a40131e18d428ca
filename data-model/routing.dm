# Routes: those of /etc/config/network, and what else the kernel has in its main table.

live ubus netlink route on event netlink.route

table Device.Routing.Router.{i}.
  each text main

  Enable = file /proc/sys/net/ipv4/ip_forward
  Status = file /proc/sys/net/ipv4/ip_forward | map 1:Enabled 0:Disabled

table Device.Routing.Router.{i}.IPv4Forwarding.{i}.
  each uci network.route
  each native routing.ipv4

  Enable           = option disabled | default 0 | not
  Status           = native routing.status
  Type             = option type | default unicast | map unicast:Normal local:Receive blackhole:Blackhole unreachable:Unreachable prohibit:Prohibit
  StaticRoute      = item | exists | not
  DestIPAddress    = native routing.address
  DestSubnetMask   = native routing.mask
  GatewayIPAddress = option gateway
                  or item /gateway
  Interface        = option interface | ref Device.IP.Interface.{i}.
                  or item /interface | ref Device.IP.Interface.{i}.
  Origin           = item /origin
                  or text Static
  ForwardingMetric = native routing.metric
  # The mark whose packets are sent by the table the route is in.
  ForwardingPolicy = native routing.policy

table Device.Routing.Router.{i}.IPv6Forwarding.{i}.
  each uci network.route6
  each native routing.ipv6

  Enable           = option disabled | default 0 | not
  Status           = native routing.status
  Type             = option type | default unicast | map unicast:Normal local:Receive blackhole:Blackhole unreachable:Unreachable prohibit:Prohibit
  DestIPPrefix     = native routing.prefix
  NextHop          = native routing.next_hop
  Interface        = option interface | ref Device.IP.Interface.{i}.
                  or item /interface | ref Device.IP.Interface.{i}.
  Origin           = item /origin
                  or text Static
  ForwardingMetric = native routing.metric
  # The mark whose packets are sent by the table the route is in.
  ForwardingPolicy = native routing.policy
  ExpirationTime   = item /expires | mul -1 | ago
                  or text 9999-12-31T23:59:59Z

# Routes beside their own that routers advertised: odhcp6c hands them on to netifd.
object Device.Routing.RouteInformation.
  Enable = native row.always

table Device.Routing.RouteInformation.InterfaceSetting.{i}.
  each native ipv6.route_information
  let target = item /target
  let mask   = item /mask

  Status             = item | exists | map 1:ForwardingEntryCreated
  Interface          = key | ref Device.IP.Interface.{i}.
  SourceRouter       = item /nexthop
  PreferredRouteFlag = item /metric | map 384:High 512:Medium 640:Low
  Prefix             = text {target}/{mask}
  RouteLifetime      = item /valid | mul -1 | ago
                    or text 9999-12-31T23:59:59Z
