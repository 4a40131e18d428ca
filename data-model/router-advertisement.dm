# Router advertisements of odhcpd: the `ra` options of /etc/config/dhcp.

object Device.RouterAdvertisement.
  Enable = list /etc/rc.d | has S35odhcpd

table Device.RouterAdvertisement.InterfaceSetting.{i}.
  each uci dhcp.dhcp where option ra
  new native dhcp.six

  Enable                 = option ra | map server:1 disabled:0 *:0
  Status                 = option ra | map server:Enabled *:Disabled
  Interface              = option interface | native dhcp.interface | ref Device.IP.Interface.{i}.
  RDNSS                  = option dns | list
  DNSSL                  = option domain | list
  Prefixes               = native ipv6.served_prefixes
  MaxRtrAdvInterval      = option ra_maxinterval | default 600
  MinRtrAdvInterval      = option ra_mininterval | default 200
  AdvDefaultLifetime     = option ra_lifetime | default 1800
  AdvManagedFlag         = native ra.managed
  AdvOtherConfigFlag     = native ra.other
  AdvMobileAgentFlag     = native ra.home_agent
  AdvPreferredRouterFlag = option ra_preference | default medium | map low:Low medium:Medium high:High
  AdvLinkMTU             = option ra_mtu | default 0
  AdvReachableTime       = option ra_reachabletime | default 0
  AdvRetransTimer        = option ra_retranstime | default 0
  AdvCurHopLimit         = option ra_hoplimit | default 0
