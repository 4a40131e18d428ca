# What the Makefiles in openwrt-package/ take from OpenWrt's package.mk, for cross/package: `make install ROOT=...` lays the
# files down, `make print` tells the fields of the package, one a line, and `make postinst SCRIPT=...` writes what the
# package adds to OpenWrt's script after an installation, if anything. PKG_INSTALL_DIR is given.
define BuildPackage
$(eval $(call Package/$(1)))
print:
	@echo 'name=$(1)'
	@echo 'version=$(PKG_VERSION)-r$(PKG_RELEASE)'
	@echo 'section=$(SECTION)'
	@echo 'license=$(PKG_LICENSE)'
	@echo 'depends=$(patsubst +%,%,$(filter +%,$(DEPENDS)))'
	@echo 'conffiles=$(strip $(Package/$(1)/conffiles))'
	@echo 'arch=$(PKGARCH)'
	@echo 'description=$(strip $(Package/$(1)/description))'
install:
	$$(call Package/$(1)/install,$(ROOT))
postinst:
	$$(if $$(Package/$(1)/postinst),$$(file >$(SCRIPT),$$(Package/$(1)/postinst)))
endef
