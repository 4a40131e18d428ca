# What openwrt-package/Makefile takes from OpenWrt's rules.mk, for cross/package.
INCLUDE_DIR:=$(TOPDIR)/include
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
CP:=cp -fpR
