# What the device is and how it is doing.
# The owner may state in /etc/config/usp-agent (section localagent) what the image does not know of the hardware.

object Device.
  RootDataModelVersion = text 2.19
  Reboot()             = agent reboot
  FactoryReset()       = agent factory_reset
  ScheduleTimer()      = agent schedule_timer
  Boot!                = agent

object Device.DeviceInfo.
  let board    = ubus system board
  let release  = ubus system board /release

  Manufacturer    = uci usp-agent.@localagent[0].Manufacturer
                 or file /etc/device_info | line DEVICE_MANUFACTURER= | unquote | native device.stated
                 or file /sys/class/dmi/id/sys_vendor | native device.stated
                 or $board /model | native device.stated | word 1
                 or file /tmp/sysinfo/model | native device.stated | word 1
                 or file /etc/os-release | line NAME= | unquote
                 or text Unknown
  # An address that the owner made up has no OUI; then there is none to tell.
  ManufacturerOUI = uci usp-agent.@localagent[0].ManufacturerOUI
                 or native device.label_mac | native device.oui
  ModelName       = uci usp-agent.@localagent[0].ModelName
                 or $board /model | native device.stated
                 or file /tmp/sysinfo/model | native device.stated
                 or file /proc/device-tree/model | native device.stated
                 or file /sys/class/dmi/id/product_name | native device.stated
                 or file /etc/os-release | line NAME= | unquote
                 or text Unknown
  ModelNumber     = uci usp-agent.@localagent[0].ModelNumber
                 or $board /board_name | after ,
  Description     = uci usp-agent.@localagent[0].Description
                 or $release /description
                 or file /etc/os-release | line PRETTY_NAME= | unquote
  ProductClass    = uci usp-agent.@localagent[0].ProductClass
                 or $board /board_name | native device.stated
                 or file /tmp/sysinfo/board_name | native device.stated
                 or file /sys/class/dmi/id/product_name | native device.stated
                 or file /etc/os-release | line OPENWRT_BOARD= | unquote
                 or text Unknown
  SerialNumber    = uci usp-agent.@localagent[0].SerialNumber
                 or file /proc/device-tree/serial-number | native device.stated
                 or file /sys/class/dmi/id/product_serial | native device.stated
                 or native device.label_mac | native device.bare_mac
                 or text Unknown
  HardwareVersion = uci usp-agent.@localagent[0].HardwareVersion
                 or file /etc/device_info | line DEVICE_REVISION= | unquote | native device.stated
                 or file /sys/class/dmi/id/product_version | native device.stated
                 or $board /board_name | native device.stated
  AdditionalHardwareVersion = $board /system
  SoftwareVersion = $release /version
                 or file /etc/os-release | line VERSION= | unquote
                 or file /etc/openwrt_version
                 or text Unknown
  AdditionalSoftwareVersion = $release /revision
                 or file /etc/os-release | line BUILD_ID= | unquote
  ProvisioningCode = uci usp-agent.@localagent[0].ProvisioningCode
  FriendlyName    = uci system.@system[0].description
                 or uci system.@system[0].hostname
  HostName        = uci system.@system[0].hostname
                 or $board /hostname
                 or file /proc/sys/kernel/hostname
  UpTime          = ubus system info /uptime
                 or file /proc/uptime | word 1 | before .

object Device.DeviceInfo.MemoryStatus.
  let memory      = ubus system info /memory
  let root        = ubus system info /root

  Total           = $memory /total | div 1024
                 or file /proc/meminfo | line MemTotal: | word 1
  # What programs can still have: free memory and what the kernel would give back.
  Free            = $memory /available | div 1024
                 or $memory /free | div 1024
                 or file /proc/meminfo | line MemAvailable: | word 1
  # procd gives bytes of memory, but KiB of the root file system.
  TotalPersistent = $root /total
  FreePersistent  = $root /avail

object Device.DeviceInfo.ProcessStatus.
  CPUUsage = native cpu.usage

table Device.DeviceInfo.TemperatureStatus.TemperatureSensor.{i}.
  each list /sys/class/thermal where file /sys/class/thermal/{key}/temp
  let type   = file /sys/class/thermal/{key}/type

  Name       = text "{type} ({key})"
            or key
  Status     = file /sys/class/thermal/{key}/mode | map enabled:Enabled disabled:Disabled
            or text Enabled
  Value      = file /sys/class/thermal/{key}/temp | div 1000
