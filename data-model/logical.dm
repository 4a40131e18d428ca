# Logical interfaces: the zones of /etc/config/firewall, which rules and redirects are written for.

table Device.Logical.Interface.{i}.
  each uci firewall.zone
  let state = native zone.state

  Enable      = option enabled | default 1
  Status      = option enabled | default 1 | map 0:Down
             or $state /up | map 1:Up *:Down
  Name        = option name
  LastChange  = $state /uptime
  LowerLayers = native zone.networks | ref Device.IP.Interface.{i}.

object Device.Logical.Interface.{i}.Stats.
  BytesSent       = $state /tx_bytes
  BytesReceived   = $state /rx_bytes
  PacketsSent     = $state /tx_packets
  PacketsReceived = $state /rx_packets
  ErrorsSent      = $state /tx_errors
  ErrorsReceived  = $state /rx_errors
