# Wi-Fi: radios and networks of /etc/config/wireless, and what netifd, hostapd and iwinfo tell of them.
# A network (wifi-iface) is an SSID, and where it is offered to others also an access point.

live ubus hostapd.* get_clients on object hostapd.*
live ubus network.wireless status on event network.interface
live ubus netlink link on event netlink.link

object Device.WiFi.
  Reset()                     = agent restart_wifi
  NeighboringWiFiDiagnostic() = operation neighboring_wifi

table Device.WiFi.Radio.{i}.
  each uci wireless.wifi-device
  let radio  = ubus network.wireless status /{key}
  let info   = ubus iwinfo info {"device":"{key}"}

  Enable                              = option disabled | default 0 | not
  Status                              = $radio /up | map 1:Up 0:Down
                                     or text Down
  Name                                = key
  MaxBitRate                          = native wifi.max_bit_rate
  Upstream                            = native wifi.upstream
  SupportedFrequencyBands             = native wifi.bands
  OperatingFrequencyBand              = $radio /config/band | map 2g:2.4GHz 5g:5GHz 6g:6GHz
                                     or $radio /config/hwmode | map 11g:2.4GHz 11b:2.4GHz 11a:5GHz
  SupportedStandards                  = $info /hwmodes
  OperatingStandards                  = native wifi.standards
  PossibleChannels                    = native wifi.channels
  ChannelsInUse                       = $info /channel
  # `auto` is no number: then the channel in use counts.
  Channel                             = option channel
                                     or $info /channel
  AutoChannelSupported                = ubus luci getFeatures /hostapd/acs
  AutoChannelEnable                   = native wifi.auto_channel
  SupportedOperatingChannelBandwidths = native wifi.bandwidths
  OperatingChannelBandwidth           = native wifi.bandwidth
  CurrentOperatingChannelBandwidth    = $info /htmode | native wifi.width
  # HT40 alone leaves the side to the router.
  ExtensionChannel                    = $radio /config/htmode | map HT40+:AboveControlChannel HT40-:BelowControlChannel *:Auto
  GuardInterval                       = native wifi.guard_interval
  CenterFrequencySegment0             = $info /center_chan1
  CenterFrequencySegment1             = $info /center_chan2
  # mac80211 and the hardware choose it for every frame.
  MCS                                 = text -1
  TransmitPowerSupported              = native wifi.powers
  TransmitPower                       = native wifi.power
  RegulatoryDomain                    = native wifi.country
  IEEE80211hSupported                 = $radio /config/band | map 5g:1 *:0
                                     or $radio /config/hwmode | map 11a:1 *:0
  IEEE80211hEnabled                   = option doth | default 1
  RTSThreshold                        = option rts
  FragmentationThreshold              = option frag
  BeaconPeriod                        = option beacon_int | default 100

# The hardware keeps no counters of its own: those of the radio's networks together.
object Device.WiFi.Radio.{i}.Stats.
  let sum = native wifi.counters

  BytesSent              = $sum /tx_bytes
  BytesReceived          = $sum /rx_bytes
  PacketsSent            = $sum /tx_packets
  PacketsReceived        = $sum /rx_packets
  ErrorsSent             = $sum /tx_errors
  ErrorsReceived         = $sum /rx_errors
  DiscardPacketsSent     = $sum /tx_dropped
  DiscardPacketsReceived = $sum /rx_dropped
  Noise                  = $info /noise

table Device.WiFi.SSID.{i}.
  each uci wireless.wifi-iface
  new set disabled 1
  let radio  = option device
  let name   = native uci.section
  let ifname = ubus network.wireless status /{radio}/interfaces[section={name}]/ifname or option ifname
  let stats  = ubus netlink link /link[dev={ifname}]/statistics

  Enable      = option disabled | default 0 | not
  Status      = ubus hostapd.{ifname} get_status /status | map ENABLED:Up *:Down
             or ubus netlink link /link[dev={ifname}]/operstate | map up:Up down:Down dormant:Dormant *:Unknown
             or text Down
  Name        = native row.name
  LowerLayers = option device | ref Device.WiFi.Radio.{i}.
  Upstream    = option mode | default ap | map sta:1 *:0
  BSSID       = ubus hostapd.{ifname} get_status /bssid | upper
             or ubus iwinfo info {"device":"{ifname}"} /bssid | upper
  MACAddress  = ubus netlink link /link[dev={ifname}]/address | upper
  SSID        = option ssid
  MLDUnit     = native wifi.mld_unit

object Device.WiFi.SSID.{i}.Stats.
  BytesSent                = $stats /tx_bytes
  BytesReceived            = $stats /rx_bytes
  PacketsSent              = $stats /tx_packets
  PacketsReceived          = $stats /rx_packets
  ErrorsSent               = $stats /tx_errors
  ErrorsReceived           = $stats /rx_errors
  DiscardPacketsSent       = $stats /tx_dropped
  DiscardPacketsReceived   = $stats /rx_dropped
  MulticastPacketsReceived = $stats /multicast

table Device.WiFi.AccessPoint.{i}.
  each uci wireless.wifi-iface where option mode == ap
  new native wifi.access_point
  let radio  = option device
  let name   = native uci.section
  let ifname = ubus network.wireless status /{radio}/interfaces[section={name}]/ifname or option ifname

  Enable                   = option disabled | default 0 | not
  Status                   = ubus hostapd.{ifname} get_status /status | map ENABLED:Enabled *:Disabled
                          or text Disabled
  SSIDReference            = native wifi.ssid_reference
  SSIDAdvertisementEnabled = option hidden | default 0 | not
  # mac80211 and hostapd have both.
  WMMCapability            = text 1
  UAPSDCapability          = text 1
  WMMEnable                = option wmm | default 1
  UAPSDEnable              = option uapsd | default 1
  IsolationEnable          = option isolate | default 0
  MACAddressControlEnabled = option macfilter | default disable | map allow:1 disable:0 *:0
  AllowedMACAddress        = option maclist | list
  # 0 is no limit, as hostapd has it.
  MaxAllowedAssociations   = option maxassoc | default 0

object Device.WiFi.AccessPoint.{i}.Security.
  ModesSupported         = native wifi.modes_supported
  ModeEnabled            = native wifi.mode
  PreSharedKey           = native wifi.pre_shared_key
  KeyPassphrase          = native wifi.passphrase
  SAEPassphrase          = native wifi.passphrase
  WEPKey                 = native wifi.wep_key
  RekeyingInterval       = option wpa_group_rekey | default 86400
  MFPConfig              = option ieee80211w | map 0:Disabled 1:Optional 2:Required
                        or option encryption | before + | map sae:Required owe:Required psk3:Required wpa3:Required wpa3-192:Required sae-mixed:Optional psk3-mixed:Optional wpa3-mixed:Optional *:Disabled
  RadiusServerIPAddr     = option auth_server
  RadiusServerPort       = option auth_port
  RadiusSecret           = option auth_secret

# Where hostapd is built with WPS, or a network asks for it.
object Device.WiFi.AccessPoint.{i}.WPS.
  let wps = ubus luci getFeatures /hostapd/wps | map 1:1 or option wps_pushbutton or option wps_label
  when $wps

  Enable                 = native wifi.wps
  ConfigMethodsSupported = text PushButton,Label
  ConfigMethodsEnabled   = native wifi.wps_methods
  PIN                    = option wps_pin
  # OpenWrt tells hostapd that the network is set up, unless it is told otherwise.
  Status                 = native wifi.wps | map 0:Disabled
                        or option wps_not_configured | map 1:Unconfigured
                        or text Configured

# For visitors (IEEE 802.11u, Passpoint): a hostapd with everything, or a network that asks for it.
object Device.WiFi.AccessPoint.{i}.Interworking.
  let full = ubus luci getFeatures /hostapd/eap | map 1:1 or option iw_enabled
  when $full

  Enable                                   = option iw_enabled | default 0
  AccessNetworkType                        = option iw_access_network_type | default 0 | map 0:PrivateNetwork 1:PrivateNetworkWithGuestAccess 2:ChargeablePublicNetwork 3:FreePublicNetwork 4:PersonalDeviceNetwork 5:EmergencyServicesOnlyNetwork 14:TestOrExperimental 15:Wildcard
  InternetAvailable                        = option iw_internet | default 1
  ASRA                                     = option iw_asra | default 0
  VenueGroup                               = option iw_venue_group | default 0 | map 0:Unspecified 1:Assembly 2:Business 3:Educational 4:Factory-Industrial 5:Institutional 6:Mercantile 7:Residential 8:Storage 9:Utility-Miscellaneous 10:Vehicular 11:Outdoor
  VenueType                                = option iw_venue_type
  HESSID                                   = option iw_hessid
  EmergencyServiceReachable                = option iw_esr | default 0
  UnauthenticatedEmergencyServiceAvailable = option iw_uesa | default 0

object Device.WiFi.AccessPoint.{i}.ANQP.
  let full = ubus luci getFeatures /hostapd/eap | map 1:1 or option iw_enabled
  when $full

  # It goes with the interworking element.
  Enable                  = option iw_enabled | default 0
  VenueName               = option iw_venue_name
  RoamingConsortiumOIs    = option iw_roaming_consortium | list
  NAIRealms               = option iw_nai_realm | list
  Domains                 = option iw_domain_name | list

object Device.WiFi.AccessPoint.{i}.Passpoint.
  let full = ubus luci getFeatures /hostapd/eap | map 1:1 or option hs20
  when $full

  Enable               = option hs20 | default 0
  OperatorFriendlyName = option hs20_oper_friendly_name
  DGAFDisable          = option disable_dgaf | default 0

table Device.WiFi.AccessPoint.{i}.AssociatedDevice.{i}.
  each ubus hostapd.{ifname} get_clients /clients
  let mac = key | upper
  let sta = ubus iwinfo assoclist {"device":"{ifname}"} /results[mac={mac}]

  MACAddress           = $mac
  OperatingStandard    = item /eht | map 1:be
                      or item /he | map 1:ax
                      or item /vht | map 1:ac
                      or item /ht | map 1:n
  AuthenticationState  = item /authorized
  LastDataDownlinkRate = $sta /tx/rate
                      or item /rate/tx | div 1000
  LastDataUplinkRate   = $sta /rx/rate
                      or item /rate/rx | div 1000
  AssociationTime      = $sta /connected_time | ago
  SignalStrength       = item /signal
                      or $sta /signal
  Noise                = $sta /noise
  SNR                  = native wifi.snr
  Active               = item /assoc

object Device.WiFi.AccessPoint.{i}.AssociatedDevice.{i}.Stats.
  BytesSent          = item /bytes/tx
  BytesReceived      = item /bytes/rx
  PacketsSent        = item /packets/tx
  PacketsReceived    = item /packets/rx
  ErrorsSent         = $sta /tx/failed
  RetransCount       = $sta /tx/retries
  FailedRetransCount = $sta /tx/failed

# A network that the router itself joins, which has one profile: OpenWrt keeps it in the same section.
table Device.WiFi.EndPoint.{i}.
  each uci wireless.wifi-iface where option mode == sta
  new native wifi.end_point
  let radio  = option device
  let name   = native uci.section
  let ifname = ubus network.wireless status /{radio}/interfaces[section={name}]/ifname or option ifname
  let link   = ubus netlink link /link[dev={ifname}]
  # The access point is the only station it sees.
  let peer   = ubus iwinfo assoclist {"device":"{ifname}"} /results/0

  Enable           = option disabled | default 0 | not
  Status           = option disabled | map 1:Disabled
                  or $link /operstate | map *:Enabled
                  or text Disabled
  ProfileReference = native wifi.profile_reference
  SSIDReference    = native wifi.ssid_reference

object Device.WiFi.EndPoint.{i}.Stats.
  LastDataDownlinkRate = $peer /rx/rate
  LastDataUplinkRate   = $peer /tx/rate
  SignalStrength       = $peer /signal

# Where wpa_supplicant is built with WPS: the router's button starts it, for every network that it joins.
object Device.WiFi.EndPoint.{i}.WPS.
  let wps = ubus luci getFeatures /wpasupplicant/wps | map 1:1
  when $wps

  Enable                 = text 1
  ConfigMethodsSupported = text PushButton
  ConfigMethodsEnabled   = text PushButton

object Device.WiFi.EndPoint.{i}.Security.
  ModesSupported = native wifi.modes_supported

table Device.WiFi.EndPoint.{i}.Profile.{i}.
  each uci wireless.wifi-iface where key == {name} where $profile
  new native wifi.profile
  let profile = option ssid or option encryption

  Enable = option default_disabled | default 0 | not
  Status = option disabled | map 1:Disabled
        or option default_disabled | map 1:Disabled
        or $link /operstate | map up:Active *:Available
        or text Disabled
  SSID   = option ssid

object Device.WiFi.EndPoint.{i}.Profile.{i}.Security.
  ModeEnabled   = native wifi.mode
  PreSharedKey  = native wifi.pre_shared_key
  KeyPassphrase = native wifi.passphrase
  SAEPassphrase = native wifi.passphrase
  WEPKey        = native wifi.wep_key
  MFPConfig     = option ieee80211w | map 0:Disabled 1:Optional 2:Required
               or option encryption | before + | map sae:Required owe:Required psk3:Required wpa3:Required wpa3-192:Required sae-mixed:Optional psk3-mixed:Optional wpa3-mixed:Optional *:Disabled
