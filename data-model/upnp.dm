# UPnP (miniupnpd), where it is installed.

object Device.UPnP.Device.
  when uci upnpd.config.enabled

  Enable  = uci upnpd.config.enabled
  UPnPIGD = uci upnpd.config.enable_upnp | default 1
