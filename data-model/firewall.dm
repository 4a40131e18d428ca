# The packet filter: rules of /etc/config/firewall (fw3, fw4), one chain in the order of the file.

object Device.Firewall.
  when uci firewall.@zone[0].name

  Enable        = list /etc/rc.d | has S19firewall
  Config        = text Advanced
  AdvancedLevel = text rules | ref Device.Firewall.Level.{i}.
  Type          = text Stateful

table Device.Firewall.Level.{i}.
  each text rules

  Name          = key
  Chain         = key | ref Device.Firewall.Chain.{i}.
  # What is forwarded between networks in no zone; a zone has its own.
  DefaultPolicy = uci firewall.@defaults[0].forward | default DROP | upper | map DROP:Drop ACCEPT:Accept REJECT:Reject

table Device.Firewall.Chain.{i}.
  each text rules

  Enable  = native row.always
  Name    = key
  Creator = text Defaults

# Without a source a rule is for what the router itself sends, without a destination for what it receives.
table Device.Firewall.Chain.{i}.Rule.{i}.
  each uci firewall.rule where option target | upper | map DROP:1 ACCEPT:1 REJECT:1
  new set target DROP
  new set proto all

  Enable              = option enabled | default 1
  Status              = option enabled | default 1 | map 0:Disabled *:Enabled
  Order               = native firewall.order
  Description         = option name
  Target              = option target | upper | map DROP:Drop ACCEPT:Accept REJECT:Reject
  Log                 = option log | default 0 | map 0:0 1:1 *:1
  SourceInterface     = option src | native firewall.network | ref Device.IP.Interface.{i}.
  SourceAllInterfaces = option src | native firewall.any | default 0
  DestInterface       = option dest | native firewall.network | ref Device.IP.Interface.{i}.
  DestAllInterfaces   = option dest | native firewall.any | default 0
  IPVersion           = option family | default any | map ipv4:4 ipv6:6 any:-1
  DestIP              = option dest_ip | native firewall.address
  DestMask            = option dest_ip | native firewall.mask
  DestIPExclude       = option dest_ip | native firewall.not | default 0
  SourceIP            = option src_ip | native firewall.address
  SourceMask          = option src_ip | native firewall.mask
  SourceIPExclude     = option src_ip | native firewall.not | default 0
  # Several protocols (TCP and UDP, also where none is stated) have no number: -1.
  Protocol            = option proto | native firewall.protocol | default -1
  ProtocolExclude     = option proto | native firewall.not | default 0
  DestPort            = option dest_port | native firewall.first | default -1
  DestPortRangeMax    = option dest_port | native firewall.last | default -1
  DestPortExclude     = option dest_port | native firewall.not | default 0
  SourcePort          = option src_port | native firewall.first | default -1
  SourcePortRangeMax  = option src_port | native firewall.last | default -1
  SourcePortExclude   = option src_port | native firewall.not | default 0
  SourceMAC           = option src_mac | upper
