# MAP: interfaces of /etc/config/network that speak it, and those that DHCPv6 brings. Without the package map there is no
# such object.

object Device.MAP.
  when ubus network get_proto_handlers /map

  Enable = native row.always

table Device.MAP.Domain.{i}.
  each uci network.interface where option proto == map
  each ubus network.interface dump /interface key /interface where item /proto == map
  new set proto map

  Enable        = uci network.{key}.disabled | default 0 | not
  Status        = native tunnel.status
  # map.sh takes the older name too, and MAP-E where there is neither.
  TransportMode = option maptype | map map-e:Encapsulation map-t:Translation lw4o6:Encapsulation
               or option type | map map-e:Encapsulation map-t:Translation lw4o6:Encapsulation
               or option proto | map map:Encapsulation
  WANInterface  = option tunlink | ref Device.IP.Interface.{i}.
  IPv6Prefix    = native tunnel.end_user_prefix
  BRIPv6Prefix  = option peeraddr

# A section states one rule.
table Device.MAP.Domain.{i}.Rule.{i}.
  each text rule where uci network.{parent.key}.proto

  Enable       = native row.always
  Status       = native tunnel.status
  Origin       = text Static
  IPv6Prefix   = native tunnel.ipv6_prefix
  IPv4Prefix   = native tunnel.ipv4_prefix
  EABitsLength = uci network.{parent.key}.ealen
  IsFMR        = uci network.{parent.key}.rule | default - | has fmr
  PSIDOffset   = uci network.{parent.key}.offset
  PSIDLength   = uci network.{parent.key}.psidlen
  PSID         = uci network.{parent.key}.psid
