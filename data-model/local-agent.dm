# The agent itself: views on /etc/config/usp-agent, whose options are named as the standard names the parameters.
# What is not configuration (link states, Requests) the agent tells from its own facts.

object Device.LocalAgent.
  EndpointID                        = agent localagent.EndpointID
  SoftwareVersion                   = agent localagent.SoftwareVersion
  UpTime                            = agent localagent.UpTime
  SupportedProtocols                = agent localagent.SupportedProtocols
  AdvertisedDeviceSubtypes          = uci usp-agent.@localagent[0].AdvertisedDeviceSubtypes
  MaxSubscriptionChangeAdoptionTime = uci usp-agent.@localagent[0].MaxSubscriptionChangeAdoptionTime | default 5
  SupportedThresholdOperator        = text Rise,Fall,Cross,Eq,NotEq
  SupportedFingerprintAlgorithms    = text SHA-1,SHA-256,SHA-384,SHA-512
  AddCertificate()                  = agent add_certificate
  # A change that cut off the controllers was undone: Packages, and Changes as lines `package.section.option: now -> before`.
  # Told at least once: an agent that is killed at that moment may tell it again, with the same Trial, 16 hex digits.
  X_USPAGENT_ChangeReverted!        = agent
  Periodic!                         = agent
  TransferComplete!                 = agent

table Device.LocalAgent.MTP.{i}.
  each uci usp-agent.mtp

  Alias      = native row.alias
  Enable     = option Enable | default 1
  Status     = agent mtp.Status | default Down
  Protocol   = option Protocol

object Device.LocalAgent.MTP.{i}.WebSocket.
  Interfaces        = option Interfaces | ref Device.IP.Interface.{i}. | list
  Port              = option Port | default 8183
  Path              = option Path | default /usp
  EnableEncryption  = option EnableEncryption | default 1
  KeepAliveInterval = option KeepAliveInterval | default 60

object Device.LocalAgent.MTP.{i}.MQTT.
  Reference               = option mqtt | ref Device.MQTT.Client.{i}.
  ResponseTopicConfigured = option ResponseTopicConfigured | own-id
  ResponseTopicDiscovered = agent mtp.ResponseTopicDiscovered
  PublishQoS              = option PublishQoS | default 1

object Device.LocalAgent.MTP.{i}.UDS.
  UnixDomainSocketRef = option unix_socket | ref Device.UnixDomainSockets.UnixDomainSocket.{i}.

object Device.LocalAgent.MTP.{i}.STOMP.
  Reference             = option stomp | ref Device.STOMP.Connection.{i}.
  Destination           = option Destination | own-id
  DestinationFromServer = agent mtp.DestinationFromServer

table Device.LocalAgent.Controller.{i}.
  each uci usp-agent.controller

  Alias                            = native row.alias
  EndpointID                       = option EndpointID
  ControllerCode                   = option ControllerCode
  ProvisioningCode                 = option ProvisioningCode
  Enable                           = option Enable | default 1
  AssignedRole                     = option role | ref Device.LocalAgent.ControllerTrust.Role.{i}. | list
                                  or native controller.untrusted | ref Device.LocalAgent.ControllerTrust.Role.{i}.
  InheritedRole                    = agent controller.InheritedRole | ref Device.LocalAgent.ControllerTrust.Role.{i}. | list
  Credential                       = option Credential | ref Device.LocalAgent.Certificate.{i}. | list
  PeriodicNotifInterval            = option PeriodicNotifInterval | default 86400
  PeriodicNotifTime                = option PeriodicNotifTime
  USPNotifRetryMinimumWaitInterval = option USPNotifRetryMinimumWaitInterval | default 5
  USPNotifRetryIntervalMultiplier  = option USPNotifRetryIntervalMultiplier | default 2000
  OnBoardingComplete               = option OnBoardingComplete | default 1
  OnBoardingRestartTime            = option OnBoardingRestartTime | default 0
  SendOnBoardRequest()             = agent send_on_board_request
  AddMyCertificate()               = agent add_certificate

table Device.LocalAgent.Controller.{i}.MTP.{i}.
  each uci usp-agent.controller_mtp where option controller == {parent.key}
  new set controller {parent.key}

  Alias    = native row.alias
  Enable   = option Enable | default 1
  Protocol = option Protocol
  Order    = option Order | default 1

object Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.
  Host                            = option Host
  Port                            = option Port | default 443
  Path                            = option Path | default /
  EnableEncryption                = option EnableEncryption | default 1
  KeepAliveInterval               = option KeepAliveInterval | default 30
  CurrentRetryCount               = agent controller_mtp.CurrentRetryCount | default 0
  SessionRetryMinimumWaitInterval = option SessionRetryMinimumWaitInterval | default 5
  SessionRetryIntervalMultiplier  = option SessionRetryIntervalMultiplier | default 2000

object Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.
  Topic                 = option Topic | own-id
  PublishRetainResponse = option PublishRetainResponse | default 0
  PublishRetainNotify   = option PublishRetainNotify | default 0
  AgentMTPReference     = option mtp | ref Device.LocalAgent.MTP.{i}.

object Device.LocalAgent.Controller.{i}.MTP.{i}.UDS.
  UnixDomainSocketRef = option unix_socket | ref Device.UnixDomainSockets.UnixDomainSocket.{i}.

object Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.
  Reference   = option stomp | ref Device.STOMP.Connection.{i}.
  Destination = option Destination | own-id

object Device.LocalAgent.Controller.{i}.TransferCompletePolicy.
  ResultTypeFilter = option ResultTypeFilter | default Both

table Device.LocalAgent.Controller.{i}.BootParameter.{i}.
  each uci usp-agent.boot_parameter where option controller == {parent.key}
  new set controller {parent.key}

  Alias         = native row.alias
  Enable        = option Enable | default 1
  ParameterName = option ParameterName

table Device.LocalAgent.Subscription.{i}.
  each uci usp-agent.subscription

  Alias                 = native row.alias
  Enable                = option Enable | default 1
  Recipient             = option controller | ref Device.LocalAgent.Controller.{i}.
  TriggerAction         = option TriggerAction | default Notify
  TriggerConfigSettings = option TriggerConfigSettings
  ID                    = option ID
  CreationDate          = option CreationDate
  NotifType             = option NotifType
  ReferenceList         = option ReferenceList | list
  Persistent            = option Persistent | default 0
  TimeToLive            = option TimeToLive | default 0
  NotifRetry            = option NotifRetry | default 0
  NotifExpiration       = option NotifExpiration | default 0

# A number that its controller is told of when it passes a limit.
table Device.LocalAgent.Threshold.{i}.
  each uci usp-agent.threshold

  Alias             = native row.alias
  Enable            = option Enable | default 0
  OperatingMode     = option OperatingMode | default Normal
  ReferencePath     = option ReferencePath
  ThresholdParam    = option ThresholdParam
  ThresholdOperator = option ThresholdOperator | default Rise | map Rise:Rise Fall:Fall Cross:Cross Eq:Eq NotEq:NotEq
  ThresholdValue    = option ThresholdValue
  Controller        = option controller | ref Device.LocalAgent.Controller.{i}.
  Triggered!        = agent

table Device.LocalAgent.Request.{i}.
  each agent request

  Originator = agent request.Originator
  Command    = agent request.Command
  CommandKey = agent request.CommandKey
  Status     = agent request.Status
  Cancel()   = agent cancel

object Device.LocalAgent.ControllerTrust.
  UntrustedRole = uci usp-agent.@localagent[0].UntrustedRole | default untrusted | ref Device.LocalAgent.ControllerTrust.Role.{i}.
  BannedRole    = uci usp-agent.@localagent[0].BannedRole | ref Device.LocalAgent.ControllerTrust.Role.{i}.
  SecuredRoles  = uci usp-agent.@localagent[0].SecuredRoles | ref Device.LocalAgent.ControllerTrust.Role.{i}. | list
  TOFUAllowed         = uci usp-agent.@localagent[0].TOFUAllowed | default 0
  TOFUInactivityTimer = uci usp-agent.@localagent[0].TOFUInactivityTimer | default 60
  RequestChallenge()  = agent request_challenge
  ChallengeResponse() = agent challenge_response

table Device.LocalAgent.ControllerTrust.Role.{i}.
  each uci usp-agent.role

  Alias  = native row.alias
  Enable = option Enable | default 1
  Name   = option Name
        or key

table Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.
  each uci usp-agent.permission where option role == {parent.key}
  new set role {parent.key}

  Alias           = native row.alias
  Enable          = option Enable | default 1
  Order           = option Order | default 0
  Targets         = option Targets | list
  Param           = option Param | default ----
  Obj             = option Obj | default ----
  InstantiatedObj = option InstantiatedObj | default ----
  CommandEvent    = option CommandEvent | default ----

table Device.LocalAgent.ControllerTrust.Credential.{i}.
  each uci usp-agent.credential

  Alias       = native row.alias
  Enable      = option Enable | default 1
  Role        = option role | ref Device.LocalAgent.ControllerTrust.Role.{i}. | list
  Credential  = option certificate | ref Device.LocalAgent.Certificate.{i}.
  AllowedUses = option AllowedUses | default MTP-only

table Device.LocalAgent.ControllerTrust.Challenge.{i}.
  each uci usp-agent.challenge

  Alias           = native row.alias
  Enable          = option Enable | default 1
  Description     = option Description
  Role            = option role | ref Device.LocalAgent.ControllerTrust.Role.{i}. | list
  Type            = option Type | default Passphrase
  Value           = option Value
  ValueType       = option ValueType | default text/plain
  Instruction     = option Instruction
  InstructionType = option InstructionType | default text/plain
  Retries         = option Retries | default 3
  LockoutPeriod   = option LockoutPeriod | default 30

table Device.LocalAgent.Certificate.{i}.
  each uci usp-agent.certificate

  Alias            = native row.alias
  Enable           = option Enable | default 1
  SerialNumber     = option certificate | native certificate.serial
  Issuer           = option certificate | native certificate.issuer
  Delete()         = agent delete_certificate
  GetFingerprint() = agent get_fingerprint
