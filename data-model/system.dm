# What the system keeps beside the network: accounts, SSH (dropbear), the log, lamps, USB.

table Device.Users.User.{i}.
  each file /etc/passwd

  Username = item | before :
  UserID   = item | after : | after : | before :
  # Who has no shell cannot log in.
  Enable   = item | basename | map false:0 nologin:0 *:1

table Device.Users.Group.{i}.
  each file /etc/group

  Groupname = item | before :
  GroupID   = item | after : | after : | before :
  Enable    = text 1

# What rpcd and LuCI tell apart: an access group each.
table Device.Users.Role.{i}.
  each list /usr/share/rpcd/acl.d

  RoleName = key | before .json
  Enable   = text 1

table Device.Users.SupportedShell.{i}.
  each file /etc/shells

  Name   = item
  Enable = text 1

object Device.SSH.
  when uci dropbear.@dropbear[0].Port

  Enable = list /etc/rc.d | has S19dropbear
  Status = list /etc/rc.d | has S19dropbear | map 1:Enabled 0:Disabled

table Device.SSH.Server.{i}.
  each uci dropbear.dropbear

  Enable                 = option enable | default 1
  Status                 = option enable | default 1 | map 0:Disabled *:Enabled
  Interface              = option Interface | ref Device.IP.Interface.{i}.
  Port                   = option Port | default 22
  IdleTimeout            = option IdleTimeout | default 0
  KeepAlive              = option SSHKeepAlive | default 300
  AllowRootLogin         = option RootLogin | default 1
  AllowPasswordLogin     = option PasswordAuth | default 1
  AllowRootPasswordLogin = option RootPasswordAuth | default 1
  MaxAuthTries           = option MaxAuthTries | default 3

object Device.Syslog.
  Enable = list /etc/rc.d | has S12log
  Status = list /etc/rc.d | has S12log | map 1:Enabled 0:Disabled

# The one log: a ring in memory, that may go to a file and to another machine too.
table Device.Syslog.Action.{i}.
  each text log

  SourceRef = text log | ref Device.Syslog.Source.{i}.

# logd hears /dev/log and /dev/kmsg, always both.
table Device.Syslog.Source.{i}.
  each text log

  KernelMessages = text 1
  SystemMessages = text 1

object Device.Syslog.Action.{i}.LogFile.
  Enable           = uci system.@system[0].log_file | exists
  FilePath         = uci system.@system[0].log_file
  VendorLogFileRef = uci system.@system[0].log_file | ref Device.DeviceInfo.VendorLogFile.{i}.

object Device.Syslog.Action.{i}.LogRemote.
  Enable   = uci system.@system[0].log_remote | default 1
  Status   = uci system.@system[0].log_remote | map 0:Disabled
          or uci system.@system[0].log_ip | map *:Enabled
          or text Disabled
  Address  = uci system.@system[0].log_ip
  Port     = uci system.@system[0].log_port | default 514
  Protocol = uci system.@system[0].log_proto | default udp | map udp:UDP tcp:TCP

object Device.DeviceInfo.
  let logfile         = uci system.@system[0].log_file

  ActiveFirmwareImage = agent localagent.ActiveFirmwareImage | default first | ref Device.DeviceInfo.FirmwareImage.{i}.
  # What was to be booted last, also where that failed.
  BootFirmwareImage   = agent localagent.BootFirmwareImage | default first | ref Device.DeviceInfo.FirmwareImage.{i}.
  # agent::firmware::windows::MAX_WINDOWS
  MaxNumberOfActivateTimeWindows = text 5

table Device.DeviceInfo.VendorLogFile.{i}.
  each $logfile

  Name        = text file://{key}
  MaximumSize = uci system.@system[0].log_size | default 64 | mul 1024
  Persistent  = key | after / | before / | map tmp:0 var:0 *:1

table Device.DeviceInfo.VendorConfigFile.{i}.
  each list /etc/config

  Name                = text /etc/config/{key}
  # A package of UCI has no dot in its name; what else lies in the folder is not for Backup() and Restore().
  UseForBackupRestore = key | after . | map *:0
                     or text 1
  Backup()            = agent config_backup
  Restore()           = agent config_restore

# Two rows, whatever the router has: the image that runs, and the one that was downloaded into memory. Once that is
# activated (sysupgrade) its row is the active one.
table Device.DeviceInfo.FirmwareImage.{i}.
  each text first
  each agent firmware
  let release = ubus system board /release

  Name           = agent firmware.Name
                or $release /distribution
                or file /etc/os-release | line NAME= | unquote
  Version        = agent firmware.Version
                or $release /version
                or file /etc/os-release | line VERSION= | unquote
  Available      = agent firmware.Available | default 1
  Status         = agent firmware.Status | default Active
  BootFailureLog = agent firmware.BootFailureLog
  Download()     = agent firmware_download
  Activate()     = agent firmware_activate

table Device.LEDs.LED.{i}.
  each list /sys/class/leds
  let colour = key | native lamp.colour
  let phase  = file /sys/class/leds/{key}/brightness | map 0:off *:on

  Name                   = key
  # A trigger may have it dark for the moment.
  Status                 = file /sys/class/leds/{key}/trigger | has [none] | map 0:InUse
                        or file /sys/class/leds/{key}/brightness | map 0:Disabled *:InUse
  MaxBrightness          = file /sys/class/leds/{key}/max_brightness
  Reason                 = native lamp.reason
                        or file /sys/class/leds/{key}/trigger | after [ | before ] | map none:""
                        or file /sys/class/leds/{key}/trigger | after [ | before ]
  CyclePeriodRepetitions = file /sys/class/leds/{key}/trigger | has [timer] | map 1:-1 0:0

object Device.LEDs.LED.{i}.CurrentCycleElement.
  CycleElementReference = text "{key} {phase}" | ref Device.LEDs.LED.{i}.CycleElement.{i}.
                       or text ""
  Color                 = $phase | map off:000000
                       or $colour

# A lamp that blinks by itself is on, then off, at once.
table Device.LEDs.LED.{i}.CycleElement.{i}.
  each native lamp.cycle

  Enable       = text 1
  Order        = item /order
  Color        = item /phase | map off:000000
              or $colour
  Duration     = native lamp.duration
  FadeInterval = text 0
  Brightness   = item /phase | map off:0 on:100

table Device.USB.USBHosts.Host.{i}.
  each list /sys/bus/usb/devices where file /sys/bus/usb/devices/{key}/devpath == 0
  let bus = file /sys/bus/usb/devices/{key}/busnum

  Name                  = key
  Enable                = file /sys/bus/usb/devices/{key}/authorized
  Type                  = file /sys/bus/usb/devices/{key}/product | word 1 | map xHCI:xHCI EHCI:EHCI OHCI:OHCI UHCI:UHCI *:Unknown
  USBVersion            = file /sys/bus/usb/devices/{key}/version | word 1
  PowerManagementEnable = file /sys/bus/usb/devices/{key}/power/control | map auto:1 on:0

table Device.USB.USBHosts.Host.{i}.Device.{i}.
  each list /sys/bus/usb/devices where file /sys/bus/usb/devices/{key}/busnum == {bus}

  DeviceNumber   = file /sys/bus/usb/devices/{key}/devnum
  USBVersion     = file /sys/bus/usb/devices/{key}/version | word 1
  DeviceClass    = file /sys/bus/usb/devices/{key}/bDeviceClass
  DeviceSubClass = file /sys/bus/usb/devices/{key}/bDeviceSubClass
  DeviceProtocol = file /sys/bus/usb/devices/{key}/bDeviceProtocol
  DeviceVersion  = file /sys/bus/usb/devices/{key}/bcdDevice | native usb.number
  VendorID       = file /sys/bus/usb/devices/{key}/idVendor | native usb.number
  ProductID      = file /sys/bus/usb/devices/{key}/idProduct | native usb.number
  Manufacturer   = file /sys/bus/usb/devices/{key}/manufacturer
  ProductClass   = file /sys/bus/usb/devices/{key}/product
  SerialNumber   = file /sys/bus/usb/devices/{key}/serial
  Port           = file /sys/bus/usb/devices/{key}/devpath | native usb.port
  # Empty for what stands at the host controller itself.
  Parent         = key | native usb.hub | ref Device.USB.USBHosts.Host.{i}.Device.{i}.
                or text ""
  Rate           = file /sys/bus/usb/devices/{key}/speed | map 1.5:Low 12:Full 480:High 5000:Super *:Unknown
  MaxChildren    = file /sys/bus/usb/devices/{key}/maxchild
  IsSuspended    = file /sys/bus/usb/devices/{key}/power/runtime_status | map suspended:1 *:0
  IsSelfPowered  = file /sys/bus/usb/devices/{key}/bMaxPower | map 0mA:1 *:0
