# Certificates in files: those of services, of the agent, of the authorities that are trusted. Never a private key.

table Device.Security.Certificate.{i}.
  each native certificate.certificates
  let file = item /file

  Enable             = text 1
  # By rpcd's file module, which LuCI brings.
  LastModif          = ubus file stat {"path":"{file}"} /mtime | date
  SerialNumber       = item /serial
  Issuer             = item /issuer
  NotBefore          = item /from | date
  NotAfter           = item /to | date
  Subject            = item /subject
  SubjectAlt         = item /names
  SignatureAlgorithm = item /algorithm

table Device.Security.CABundle.{i}.
  each native certificate.bundles

  Enable         = text 1
  Name           = key | basename
  CACertificates = item | ref Device.Security.Certificate.{i}.
  CADir()        = agent ca_dir
  CAFile()       = agent ca_file
