# Wi-Fi: radios and networks of /etc/config/wireless, and what netifd, hostapd and iwinfo tell of them.
# A network (wifi-iface) is an SSID, and where it is offered to others also an access point.

live ubus hostapd.* get_clients on object hostapd.*
live ubus network.wireless status on event network.interface

table Device.WiFi.Radio.{i}.
  each uci wireless.wifi-device
  let radio  = ubus network.wireless status /{key}
  let info   = ubus iwinfo info {"device":"{key}"}

  Enable                              = option disabled | default 0 | not
  Status                              = $radio /up | map 1:Up 0:Down
                                     or text Down
  Name                                = key
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
  AutoChannelEnable                   = native wifi.auto_channel
  SupportedOperatingChannelBandwidths = native wifi.bandwidths
  OperatingChannelBandwidth           = native wifi.bandwidth
  CurrentOperatingChannelBandwidth    = $info /htmode | native wifi.width
  RegulatoryDomain                    = native wifi.country
  IEEE80211hEnabled                   = option doth | default 1
  RTSThreshold                        = option rts
  FragmentationThreshold              = option frag
  BeaconPeriod                        = option beacon_int | default 100

object Device.WiFi.Radio.{i}.Stats.
  Noise = $info /noise

table Device.WiFi.SSID.{i}.
  each uci wireless.wifi-iface
  new set disabled 1
  let radio  = option device
  let name   = native uci.section
  let ifname = ubus network.wireless status /{radio}/interfaces[section={name}]/ifname or option ifname
  let stats  = ubus netlink link /link[dev={ifname}]/statistics

  Enable      = option disabled | default 0 | not
  Status      = ubus hostapd.{ifname} get_status /status | map ENABLED:Up *:Down
             or file /sys/class/net/{ifname}/operstate | map up:Up down:Down dormant:Dormant *:Unknown
             or text Down
  Name        = native row.name
  LowerLayers = option device | ref Device.WiFi.Radio.{i}.
  BSSID       = ubus hostapd.{ifname} get_status /bssid | upper
             or ubus iwinfo info {"device":"{ifname}"} /bssid | upper
  MACAddress  = file /sys/class/net/{ifname}/address | upper
  SSID        = option ssid

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
  KeyPassphrase          = native wifi.passphrase
  SAEPassphrase          = native wifi.passphrase
  RekeyingInterval       = option wpa_group_rekey | default 86400
  MFPConfig              = option ieee80211w | map 0:Disabled 1:Optional 2:Required
                        or option encryption | before + | map sae:Required owe:Required wpa3:Required sae-mixed:Optional wpa3-mixed:Optional *:Disabled
  RadiusServerIPAddr     = option auth_server
  RadiusServerPort       = option auth_port
  RadiusSecret           = option auth_secret

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
  RetransCount       = $sta /tx/retries
  FailedRetransCount = $sta /tx/failed
