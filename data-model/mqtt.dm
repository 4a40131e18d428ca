# The agent's MQTT connections: views on /etc/config/usp-agent.

object Device.MQTT.Capabilities.
  ProtocolVersionsSupported  = text 3.1.1,5.0
  TransportProtocolSupported = text TCP/IP,TLS

table Device.MQTT.Client.{i}.
  each uci usp-agent.mqtt

  Alias                          = native row.alias
  Name                           = option Name
                                or key
  Enable                         = option Enable | default 1
  Status                         = agent mqtt.Status | default Disabled
  ProtocolVersion                = option ProtocolVersion | default 5.0
  BrokerAddress                  = option BrokerAddress
  BrokerPort                     = option BrokerPort | default 1883
  TransportProtocol              = option TransportProtocol | default TCP/IP
  CleanSession                   = option CleanSession | default 1
  CleanStart                     = option CleanStart | default 1
  KeepAliveTime                  = option KeepAliveTime | default 60
  SessionExpiryInterval          = option SessionExpiryInterval | default 0
  RequestResponseInfo            = option RequestResponseInfo | default 1
  RequestProblemInfo             = option RequestProblemInfo | default 1
  ClientID                       = option ClientID | own-id
                                or agent mqtt.ClientID
  Username                       = option Username | own-id
  Password                       = option Password
  MessageRetryTime               = option MessageRetryTime | default 5
  ConnectRetryTime               = option ConnectRetryTime | default 5
  ConnectRetryIntervalMultiplier = option ConnectRetryIntervalMultiplier | default 2000
  ConnectRetryMaxInterval        = option ConnectRetryMaxInterval | default 30720
  WillEnable                     = option WillEnable | default 0
  WillTopic                      = option WillTopic | own-id
  WillValue                      = option WillValue | own-id
  WillQoS                        = option WillQoS | default 0
  WillRetain                     = option WillRetain | default 0
  ResponseInformation            = agent mqtt.ResponseInformation
  ForceReconnect()               = agent force_reconnect

object Device.MQTT.Client.{i}.Stats.
  BrokerConnectionEstablished = agent mqtt.Established | default 0001-01-01T00:00:00Z
  MQTTMessagesSent            = agent mqtt.Sent | default 0
  MQTTMessagesReceived        = agent mqtt.Received | default 0
  ConnectionErrors            = agent mqtt.Errors | default 0
  LastPublishMessageSent      = agent mqtt.LastSent | default 0 | date
  LastPublishMessageReceived  = agent mqtt.LastReceived | default 0 | date
  PublishSent                 = agent mqtt.PublishSent | default 0
  PublishReceived             = agent mqtt.PublishReceived | default 0
  SubscribeSent               = agent mqtt.SubscribeSent | default 0
  UnSubscribeSent             = agent mqtt.UnSubscribeSent | default 0
  PublishErrors               = agent mqtt.PublishErrors | default 0

table Device.MQTT.Client.{i}.Subscription.{i}.
  each uci usp-agent.mqtt_subscription where option mqtt == {parent.key}
  new set mqtt {parent.key}

  Alias  = native row.alias
  Enable = option Enable | default 1
  Status = agent mqtt_subscription.Status | default Unsubscribed
  Topic  = option Topic | own-id
  QoS    = option QoS | default 0
