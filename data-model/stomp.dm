# The agent's STOMP connections: views on /etc/config/usp-agent.

table Device.STOMP.Connection.{i}.
  each uci usp-agent.stomp

  Alias                         = native row.alias
  Enable                        = option Enable | default 1
  Status                        = agent stomp.Status | default Disabled
  LastChangeDate                = agent stomp.LastChangeDate | default 0001-01-01T00:00:00Z
  Host                          = option Host
  Port                          = option Port | default 61613
  EnableEncryption              = option EnableEncryption | default 1
  VirtualHost                   = option VirtualHost
  Username                      = option Username | own-id
  Password                      = option Password
  EnableHeartbeats              = option EnableHeartbeats | default 0
  OutgoingHeartbeat             = option OutgoingHeartbeat | default 0
  IncomingHeartbeat             = option IncomingHeartbeat | default 0
  ServerRetryInitialInterval    = option ServerRetryInitialInterval | default 60
  ServerRetryIntervalMultiplier = option ServerRetryIntervalMultiplier | default 2000
  ServerRetryMaxInterval        = option ServerRetryMaxInterval | default 30720
