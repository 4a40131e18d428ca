# Devices in the home: what DHCP, the kernel and Wi-Fi know of them, put together by their MAC address.

live file /tmp/dhcp.leases on file /tmp/dhcp.leases
live ubus hostapd.* get_clients on object hostapd.*
live ubus netlink neigh on event netlink.neigh
live ubus netlink fdb on event netlink.neigh

table Device.Hosts.Host.{i}.
  each native hosts.hosts

  PhysAddress     = key
  IPAddress       = item /ip4/0
                 or item /ip6/0
  HostName        = item /name
  Active          = item /active
  InterfaceType   = item /type
  Layer1Interface = item /radio | ref Device.WiFi.Radio.{i}.
                 or item /port | ref Device.Ethernet.Interface.{i}.
  Layer3Interface = item /interface | ref Device.IP.Interface.{i}.
  DHCPClient      = key | ref Device.DHCPv4.Server.Pool.{i}.Client.{i}.
  AssociatedDevice = key | lower | ref Device.WiFi.AccessPoint.{i}.AssociatedDevice.{i}.

table Device.Hosts.Host.{i}.IPv4Address.{i}.
  each item /ip4

  IPAddress = key

table Device.Hosts.Host.{i}.IPv6Address.{i}.
  each item /ip6

  IPAddress = key

# Rules of the firewall whose sections are named so, from wherever the device is into the world. One that allows only
# counts; one without an address is for nobody.
table Device.Hosts.AccessControl.{i}.
  when uci firewall.@zone[0].name
  each uci firewall.rule where key | before _ == access
  new name access
  new set enabled 0
  new set src *
  new set dest wan
  new set proto all
  new set src_mac 00:00:00:00:00:00

  Origin       = text Controller | fixed
  PhysAddress  = option src_mac | native firewall.own_mac
  HostName     = option name
  Enable       = option enabled | default 1
  AccessPolicy = option target | default "" | upper | map "":Allow REJECT:Deny DROP:Deny
