# Router advertisements of odhcpd: the `ra` options of /etc/config/dhcp.

object Device.RouterAdvertisement.
  Enable = list /etc/rc.d | has S35odhcpd

table Device.RouterAdvertisement.InterfaceSetting.{i}.
  each native dhcp.advertisers

  Enable                 = uci dhcp.{key}.ra | map server:1 disabled:0 *:0
  Status                 = uci dhcp.{key}.ra | map server:Enabled *:Disabled
  Interface              = uci dhcp.{key}.interface | ref Device.IP.Interface.{i}.
  RDNSS                  = uci dhcp.{key}.dns | list
  DNSSL                  = uci dhcp.{key}.domain | list
  MaxRtrAdvInterval      = uci dhcp.{key}.ra_maxinterval | default 600
  MinRtrAdvInterval      = uci dhcp.{key}.ra_mininterval | default 200
  AdvDefaultLifetime     = uci dhcp.{key}.ra_lifetime | default 1800
  AdvManagedFlag         = native ra.managed
  AdvOtherConfigFlag     = native ra.other
  AdvMobileAgentFlag     = native ra.home_agent
  AdvPreferredRouterFlag = uci dhcp.{key}.ra_preference | default medium | map low:Low medium:Medium high:High
  AdvLinkMTU             = uci dhcp.{key}.ra_mtu | default 0
  AdvReachableTime       = uci dhcp.{key}.ra_reachabletime | default 0
  AdvRetransTimer        = uci dhcp.{key}.ra_retranstime | default 0
  AdvCurHopLimit         = uci dhcp.{key}.ra_hoplimit | default 0
