# What the device is and how it is doing.
# The owner may state in /etc/config/usp-agent (section localagent) what the image does not know of the hardware.

object Device.
  RootDataModelVersion = text 2.19
  Reboot()             = agent reboot
  FactoryReset()       = agent factory_reset
  ScheduleTimer()      = agent schedule_timer
  SelfTestDiagnostics() = operation self_test
  PacketCaptureDiagnostics() = operation packet_capture
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

# What a process was started with may hold passwords: its name alone is told.
table Device.DeviceInfo.ProcessStatus.Process.{i}.
  each native process.processes
  let pid  = key | after :
  let stat = native process.stat

  PID      = $pid
  Command  = $stat /name
  # The kernel's own have no memory.
  Size     = file /proc/{pid}/status | line VmRSS: | word 1 | default 0
  Priority = $stat /priority
  CPUTime  = $stat /time
  State    = $stat /state | map R:Running S:Sleeping D:Uninterruptible T:Stopped t:Stopped Z:Zombie X:Zombie I:Idle

# Thermal zones, and what chips beside them measure (Wi-Fi, disks).
table Device.DeviceInfo.TemperatureStatus.TemperatureSensor.{i}.
  each list /sys/class/thermal where file /sys/class/thermal/{key}/temp
  each native process.temperatures
  let type   = file /sys/class/thermal/{key}/type
  let chip   = item /chip

  Name           = text "{type} ({key})"
                or text "{chip} ({key})"
                or key
  Enable         = file /sys/class/thermal/{key}/mode | map enabled:1 disabled:0
                or text 1
  Status         = file /sys/class/thermal/{key}/mode | map enabled:Enabled disabled:Disabled
                or text Enabled
  Value          = file /sys/class/thermal/{key}/temp | div 1000
                or file /sys/class/hwmon/{key}_input | div 1000
  # It is measured when it is asked for.
  LastUpdate     = text 0 | ago
  ResetTime      = ubus system info /uptime | ago
  MinValue       = file /sys/class/hwmon/{key}_lowest | div 1000
  MaxValue       = file /sys/class/hwmon/{key}_highest | div 1000
  LowAlarmValue  = file /sys/class/hwmon/{key}_min | div 1000
  HighAlarmValue = file /sys/class/hwmon/{key}_max | div 1000

# Where ugps hears satellites.
table Device.DeviceInfo.Location.{i}.
  each ubus gps info where key == latitude
  let latitude  = ubus gps info /latitude
  let longitude = ubus gps info /longitude

  Source           = text GPS
  AcquiredTime     = ubus gps info /age | ago
  # They tell of sources outside only.
  ExternalSource   = text ""
  ExternalProtocol = text ""
  # RFC 5491: a point in WGS 84.
  DataObject       = text "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:gp=\"urn:ietf:params:xml:ns:pidf:geopriv10\" xmlns:gml=\"http://www.opengis.net/gml\" entity=\"pres:device\"><tuple id=\"gps\"><status><gp:geopriv><gp:location-info><gml:Point srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:pos>{latitude} {longitude}</gml:pos></gml:Point></gp:location-info><gp:usage-rules/><gp:method>GPS</gp:method></gp:geopriv></status></tuple></presence>"
