# 6rd: interfaces of /etc/config/network that speak it, and those that DHCP brings. Without the package 6rd there is no
# such object.

object Device.IPv6rd.
  when ubus network get_proto_handlers /6rd

  Enable = native row.always

table Device.IPv6rd.InterfaceSetting.{i}.
  each uci network.interface where option proto == 6rd
  each ubus network.interface dump /interface key /interface where item /proto == 6rd

  Enable                   = uci network.{key}.disabled | default 0 | not
  Status                   = native tunnel.status
  BorderRelayIPv4Addresses = option peeraddr
  SPIPv6Prefix             = native tunnel.ipv6_prefix
  IPv4MaskLength           = option ip4prefixlen
                          or option proto | map 6rd:0
  AddressSource            = native tunnel.address_source
  TunnelInterface          = key | ref Device.IP.Interface.{i}.
  TunneledInterface        = key | ref Device.IP.Interface.{i}.
