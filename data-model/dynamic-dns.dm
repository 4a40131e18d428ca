# Names kept up to date by ddns-scripts, whose section is a client, its server and its one name.

object Device.DynamicDNS.
  when list /usr/share/ddns/default

  SupportedServices = native ddns.services

table Device.DynamicDNS.Client.{i}.
  each uci ddns.service
  new set enabled 0
  let name = native uci.section

  Enable    = option enabled | default 0
  Status    = option enabled | default 0 | map 0:Disabled
           or file /var/run/ddns/{name}.update | map *:Updated
           or file /var/run/ddns/{name}.pid | map *:Connecting
           or text Error
  LastError = option lookup_host | exists | map 0:MISCONFIGURATION_ERROR
           or text NO_ERROR
  Server    = $name | ref Device.DynamicDNS.Server.{i}.
  Interface = option interface | ref Device.IP.Interface.{i}.
  Username  = option username
  Password  = option password

table Device.DynamicDNS.Client.{i}.Hostname.{i}.
  each uci ddns.service where key == {name}

  Enable     = option enabled | default 0
  Status     = option enabled | default 0 | map 0:Disabled
            or file /var/run/ddns/{name}.update | map *:Registered
            or file /var/run/ddns/{name}.pid | map *:Updating
            or text UpdateNeeded
  Name       = native ddns.name
  # ddns-scripts keeps how long the router had been up.
  LastUpdate = file /var/run/ddns/{name}.update | native ddns.since_start | ago

# A server comes and goes with its client.
table Device.DynamicDNS.Server.{i}.
  each native ddns.servers

  Enable             = uci ddns.{key}.enabled | default 0
  Name               = key
  ServiceName        = uci ddns.{key}.service_name
  SupportedProtocols = text HTTP,HTTPS
  Protocol           = uci ddns.{key}.use_https | default 0 | map 0:HTTP 1:HTTPS
  CheckInterval      = native ddns.check
  RetryInterval      = native ddns.retry
