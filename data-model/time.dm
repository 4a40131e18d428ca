# The clock and where it gets the time from (busybox ntpd, configured in /etc/config/system).

object Device.Time.
  Enable           = uci system.ntp.enabled | default 1
  # dnsmasq's NTP hook leaves this file the first time ntpd says that the time is right.
  Status           = native time.status
  CurrentLocalTime = native time.local
  # Written without its zone name, which would win over it where zoneinfo is installed.
  LocalTimeZone    = native time.zone

table Device.Time.Client.{i}.
  each native time.ntp

  Enable  = uci system.ntp.enabled | default 1
  Status  = native time.status
  Servers = uci system.ntp.server | list
  # All that busybox ntpd can do.
  Mode    = text Unicast
  Port    = text 123

table Device.Time.Server.{i}.
  each native time.ntp

  Enable    = uci system.ntp.enable_server | default 0
  Interface = uci system.ntp.interface | ref Device.IP.Interface.{i}.
  Mode      = text Unicast
  Port      = text 123
