object Device.DeviceInfo.
  ModelName       = ubus system board /model
                 or file /tmp/sysinfo/model
  HostName        = uci system.@system[0].hostname
  SoftwareVersion = ubus system board /release/version
  UpTime          = ubus system info /uptime

object Device.DeviceInfo.MemoryStatus.
  Total = ubus system info /memory/total | div 1024
  Free  = ubus system info /memory/free | div 1024
