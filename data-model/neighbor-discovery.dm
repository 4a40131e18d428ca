# IPv6 neighbour discovery, as the kernel does it on the devices of IP interfaces.

object Device.NeighborDiscovery.
  Enable = file /proc/sys/net/ipv6/conf/all/disable_ipv6 | not

table Device.NeighborDiscovery.InterfaceSetting.{i}.
  each ubus network.interface dump /interface key /interface where file /proc/sys/net/ipv6/conf/{l3}/disable_ipv6
  let l3 = item /l3_device

  Enable                  = file /proc/sys/net/ipv6/conf/{l3}/disable_ipv6 | not
  Status                  = file /proc/sys/net/ipv6/conf/{l3}/disable_ipv6 | map 0:Enabled *:Disabled
  Interface               = key | ref Device.IP.Interface.{i}.
  DADTransmits            = file /proc/sys/net/ipv6/conf/{l3}/dad_transmits
  RetransTimer            = file /proc/sys/net/ipv6/neigh/{l3}/retrans_time_ms
  # The kernel counts seconds.
  RtrSolicitationInterval = file /proc/sys/net/ipv6/conf/{l3}/router_solicitation_interval | mul 1000
  MaxRtrSolicitations     = file /proc/sys/net/ipv6/conf/{l3}/router_solicitations
  # netifd leaves it to odhcp6c where that runs; the kernel solicits where it takes what it is told.
  RSEnable                = item /proto | map dhcpv6:1
                         or file /proc/sys/net/ipv6/conf/{l3}/accept_ra | map 0:0 *:1
