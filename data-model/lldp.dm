# Neighbours that lldpd heard of, where LuCI's page for it is installed: lldpd itself tells nobody but its own tool.

object Device.LLDP.
  when ubus luci.lldpd getStatus /neighbors

table Device.LLDP.Discovery.Device.{i}.
  each ubus luci.lldpd getStatus /neighbors/lldp/0/interface key /chassis/0/id/0/value

  Interface        = item /name | ref Device.Ethernet.Interface.{i}.
  ChassisIDSubtype = item /chassis/0/id/0/type | map ifalias:2 port:3 mac:4 ip:5 ifname:6 local:7 *:1
  ChassisID        = key
  Host             = item /chassis/0/id[type=mac]/value | upper | ref Device.Hosts.Host.{i}.

# A neighbour may be heard of at several sockets.
table Device.LLDP.Discovery.Device.{i}.Port.{i}.
  each ubus luci.lldpd getStatus /neighbors/lldp/0/interface key /port/0/id/0/value where item /chassis/0/id/0/value == {parent.key}

  PortIDSubtype   = item /port/0/id/0/type | map ifalias:1 port:2 mac:3 ip:4 ifname:5 agent:6 local:7
  PortID          = key
  TTL             = item /port/0/ttl/0/value
  PortDescription = item /port/0/descr/0/value
