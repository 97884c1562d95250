package pasted

import (
	"strconv"
	"strings"
	"sync"
)

// serviceList are names of the IANA registry of service names and port numbers
// (TCP), and older ones that /etc/services and Wireshark have for them.
const serviceList = `tcpmux 1 compressnet 2 rje 5 echo 7 discard 9 systat 11 daytime 13 netstat 15 qotd 17 chargen 19 ftp-data 20 ftp 21 ssh 22
telnet 23 smtp 25 mail 25 time 37 nameserver 42 nicname 43 whois 43 tacacs 49 re-mail-ck 50 domain 53 bootps 67 bootpc 68 tftp 69 gopher 70
finger 79 http 80 www 80 www-http 80 kerberos 88 kerberos-sec 88 linuxconf 98 hostname 101 iso-tsap 102 tsap 102 acr-nema 104 dicom 104
csnet-ns 105 poppassd 106 rtelnet 107 pop2 109 pop3 110 pop-3 110 sunrpc 111 rpcbind 111 portmapper 111 auth 113 ident 113 sftp 115
uucp-path 117 nntp 119 ntp 123 epmap 135 loc-srv 135 msrpc 135 netbios-ns 137 netbios-dgm 138 netbios-ssn 139 imap 143 imap2 143
sql-net 150 snmp 161 snmptrap 162 snmp-trap 162 cmip-man 163 cmip-agent 164 mailq 174 xdmcp 177 bgp 179 irc 194 smux 199 qmtp 209 z3950 210
ipx 213 pawserv 345 zserv 346 rpc2portmap 369 codaauth2 370 clearcase 371 ulistserv 372 ldap 389 imsp 406 svrloc 427 mobileip-agent 434
https 443 snpp 444 microsoft-ds 445 cifs 445 kpasswd 464 urd 465 smtps 465 ssmtp 465 submissions 465 igmpv3lite 465 saft 487 isakmp 500 exec 512 login 513 shell 514
cmd 514 syslog 514 printer 515 spooler 515 efs 520 ncp 524 timed 525 tempo 526 courier 530 conference 531 netnews 532 uucp 540 klogin 543
kshell 544 dhcpv6-client 546 dhcpv6-server 547 afpovertcp 548 rtsp 554 remotefs 556 nntps 563 snews 563 whoami 565 9pfs 564 submission 587 nqs 607
npmp-local 610 npmp-gui 611 hmmp-ind 612 qmqp 628 ipp 631 ldaps 636 tinc 655 acap 674 asipregistry 687 nmap 689 silc 706 msexch-routing 691
ldp 646 iris-xpc 713 iris-lwz 715 kerberos-adm 749 kerberos-iv 750 kerberos4 750 kerberos_master 751 pump 751 krb_prop 754 krbupdate 760 webster 765 moira_db 775 moira_update 777
spamd 783 controlit 799 mdbs_daemon 800 asa 386 fcp-udp 810 itm-mcell-s 828 pkix-3-ca-ra 829 netconf-ssh 830 netconf-beep 831 netconfsoaphttp 832 netconfsoapbeep 833
dhcp-failover2 847 gdoi 848 iscsi 860 owamp-control 861 twamp-control 862 supfilesrv 871 rsync 873 iclcnet-locate 886 iclcnet_svinfo 887
accessbuilder 888 omginitialrefs 900 smpnameres 901 xact-backup 911 apex-mesh 912 apex-edge 913 ftps-data 989 ftps 990 nas 991 telnets 992 imaps 993
ircs 994 pop3s 995 vsinet 996 maitrd 997 busboy 998 garcon 999 puprouter 999 cadlock2 1000 surf 1010 exp1 1021 exp2 1022 imgames 1077 socks 1080 proofd 1093 rootd 1094 rmiregistry 1099 kpop 1109 supfiledbg 1127 skkserv 1178
openvpn 1194 rmtcfg 1236 menandmice-dns 1337 xtel 1313 lotusnote 1352 lotusnotes 1352 ms-sql-s 1433 ms-sql-m 1434 ingreslock 1524 orasrv 1525 ncube-lm 1521 prospero-np 1525
datametrics 1645 sa-msg-port 1646 kermit 1649 groupwise 1677 l2f 1701 l2tp 1701 h323hostcall 1720 h323gatestat 1719 pptp 1723 ms-streaming 1755 radius 1812 radius-acct 1813 mqtt 1883 ibm-mqseries 1414 cisco-sccp 2000
sieve-filter 2000 dc 2001 globe 2002 cfingerd 2003 nfs 2049 nfsd 2049 shilp 2049 knetd 2053 gnunet 2086 rtcm-sc104 2101 eklogin 2105 kx 2111 gsigatekeeper 2119 iprop 2121 gris 2135 eforward 2181
lmtp 24 ninstall 2150 docker 2375 docker-s 2376 swarm 2377 etcd-client 2379 etcd-server 2380 cvspserver 2401 venus 2430 venus-se 2431 codasrv 2432 codasrv-se 2433 ircd 6667 mon 2583 zebrasrv 2600 zebra 2601 ripd 2602 ripngd 2603 ospfd 2604 bgpd 2605 ospf6d 2606 ospfapi 2607 isisd 2608 dict 2628
listen 1025 blackjack 1025 cap 1026 f5-globalsite 2792 gsiftp 2811 corbaloc 2809 gpsd 2947 gds-db 3050 gds_db 3050 ndl-aas 3128 squid 3128 icpv2 3130 isns 3205 iscsi-target 3260 msft-gc 3268 msft-gc-ssl 3269 mysql 3306 opsession-prxy 3307
ms-wbt-server 3389 rdp 3389 prsvp 3455 nut 3493 nvpn 3500 distcc 3632 daap 3689 svn 3690 subversion 3690 pxc-spvr 4006 suucp 4031 sysrqd 4094 sieve 4190 vxlan 4789 rwhois 4321 epmd 4369
remctl 4373 f5-iquery 4353 krb524 4444 ntske 4460 ipsec-nat-t 4500 iax 4569 mtn 4691 radmin-port 4899 munin 4949 commplex-main 5000 commplex-link 5001 rfe 5002 fmpro-internal 5003 mmcc 5050 sip 5060 sip-tls 5061 sips 5061 ms-olap4 2383 aol 5190
xmpp-client 5222 jabber-client 5222 xmpp-server 5269 jabber-server 5269 cfengine 5308 mdns 5353 postgresql 5432 postgres 5432 freeciv 5556 rptp 5556 personal-agent 5555 nrpe 5666 nsca 5667 amqps 5671 amqp 5672 canna 5680 v5ua 5675 proshareaudio 5713
rfb 5900 vnc-server 5900 wsman 5985 wsmans 5986 x11 6000 x11-0 6000 x11-1 6001 x11-2 6002 x11-3 6003 x11-4 6004 x11-5 6005 x11-6 6006 x11-7 6007 softcm 6110 gnutella-svc 6346 gnutella-rtr 6347 redis 6379 sge_qmaster 6444 sge-qmaster 6444 sge_execd 6445 sge-execd 6445
sun-sr-https 6443 mysql-proxy 6446 syslog-tls 6514 sane-port 6566 sane 6566 babel 6696 ircs-u 6697 bbs 7000 afs3-fileserver 7000 afs3-callback 7001 afs3-prserver 7002 font-service 7100 xfs 7100 http-alt 8080 webcache 8080 http-proxy 8080
irdmi 8000 tproxy 8081 sunproxyadmin 8081 us-cli 8082 us-srv 8083 radan-http 8088 omniorb 8088 xprint-server 8100 puppet 8140 intermapper 8181 trivnet1 8200 m2mservices 8383 pcsync-https 8443 https-alt 8443 ddi-tcp-1 8888 cddbp-alt 8880 clc-build-daemon 8990
cslistener 9000 hbci 3000 ppp 3000 remoteware-cl 3000 websm 9090 zeus-admin 9090 xmltec-xmlmail 9091 xinetd 9098 jetdirect 9100 hp-pdl-datastr 9100 pdl-datastream 9100 bacula-dir 9101 bacula-fd 9102 bacula-sd 9103 wap-wsp 9200 git 9418 tungsten-https 9443
xmms2 9667 zope 9673 ndmp 10000 webmin 10000 snet-sensor-mgmt 10000 zabbix-agent 10050 zabbix-trapper 10051 amanda 10080 kamanda 10081 amandaidx 10082 amidxtape 10083 nbd 10809 dicom-alt 11112 memcache 11211 hkp 11371 italk 12345 netbus 12345
bo2k 14141 hydap 15000 db-lsp 17500 sgi-cad 17004 dcap 22125 gsidcap 22128 wnn6 22273 binkp 24554 quake 26000 asp 27374 mongodb 27017 flexlm 27000 csync2 30865 filenet-tms 32768 filenet-rpc 32769 filenet-nch 32770 filenet-rmi 32771 traceroute 33434 dircproxy 57000
ibm-mqisdp 1883 secure-mqtt 8883 glrpc 9080 teradataordbms 8002 mcreport 8003 mxi 8005 http-alt2 8008 ajp13 8009 ajp12 8007 xmpp-bosh 5280 kazaa 1214 cft-0 1761 landesk-rc 1761 sometimes-rpc 32770 nlockmgr 4045 lockd 4045 mountd 20048 llrp 5084 cmmdriver 1294 optima-vnet 1051 nimreg 1059 ansys-lm 1800 emperion 1282`

// services maps names to ports; where a name stands twice the first counts.
var services = sync.OnceValue(func() map[string]uint16 {
	words := strings.Fields(serviceList)
	m := make(map[string]uint16, len(words)/2)
	for i := 0; i+1 < len(words); i += 2 {
		v, err := strconv.ParseUint(words[i+1], 10, 16)
		if err != nil {
			continue // TestServices fails for it
		}
		if _, ok := m[words[i]]; !ok {
			m[words[i]] = uint16(v)
		}
	}
	return m
})
