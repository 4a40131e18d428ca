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

table Device.Hosts.Host.{i}.IPv4Address.{i}.
  each item /ip4

  IPAddress = key

table Device.Hosts.Host.{i}.IPv6Address.{i}.
  each item /ip6

  IPAddress = key
