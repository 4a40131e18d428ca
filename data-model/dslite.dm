# DS-Lite: interfaces of /etc/config/network that speak it, and those that DHCPv6 brings. Without the package ds-lite
# there is no such object.

object Device.DSLite.
  when ubus network get_proto_handlers /dslite

  Enable = native row.always

table Device.DSLite.InterfaceSetting.{i}.
  each uci network.interface where option proto == dslite
  each ubus network.interface dump /interface key /interface where item /proto == dslite

  Enable                        = uci network.{key}.disabled | default 0 | not
  Status                        = native tunnel.status
  # An interface without a section was made of what DHCPv6 told.
  EndpointAssignmentPrecedence  = uci network.{key}.proto | exists | map 1:Static 0:DHCPv6
  EndpointAddressTypePrecedence = option peeraddr | native tunnel.address | map *:IPv6Address
                               or option peeraddr | map *:FQDN
  EndpointAddressInUse          = option peeraddr | native tunnel.address
  EndpointName                  = option peeraddr | native tunnel.name
  EndpointAddress               = option peeraddr | native tunnel.address
  Origin                        = uci network.{key}.proto | exists | map 1:Static 0:DHCPv6
  # netifd has one interface for both ends of the tunnel.
  TunnelInterface               = key | ref Device.IP.Interface.{i}.
  TunneledInterface             = key | ref Device.IP.Interface.{i}.
