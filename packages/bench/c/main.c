// What the kernel takes for one pod, asked with as few messages as it can be: network namespaces kept below /run/netns, each
// with an end of a veth pair whose other end is a port of a bridge; or, for a BRIDGE called `-`, the host's end of a link to that
// pod alone, with a route, permanent neighbours on both sides and strict reverse paths. GATEWAY is an address of the host.
//
//   reference BRIDGE GATEWAY PREFIXLENGTH
//
// reads lines `add NAME ADDRESS` and `del NAME`, and answers each with the nanoseconds it took, or `error …`.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// One datagram of messages; the kernel works through them in order, and the last is acknowledged.
struct batch {
  char bytes[4096];
  size_t length;
  struct nlmsghdr *message;
};

static int home, host;
static int bridge, prefix_length;
static struct in_addr gateway;
// Where pods of the routed kind send everything: 169.254.1.1, at the host's end.
static const unsigned char way_out[4] = {169, 254, 1, 1}, host_mac[6] = {0x0a, 0x58, 169, 254, 1, 1};
static unsigned sequence;
// Chosen here, so that nothing has to be looked up.
static int next_index = 1000000;

static const char *failed;
static int fail(const char *what) {
  if (!failed) failed = what;
  return -1;
}

static void *append(struct batch *b, size_t length) {
  void *place = b->bytes + b->length;
  memset(place, 0, NLMSG_ALIGN(length));
  b->length += NLMSG_ALIGN(length);
  if (b->message) b->message->nlmsg_len = b->bytes + b->length - (char *)b->message;
  return place;
}

static void *message(struct batch *b, int type, int flags, size_t length) {
  b->message = NULL;
  struct nlmsghdr *header = append(b, NLMSG_HDRLEN);
  b->message = header;
  header->nlmsg_len = NLMSG_HDRLEN;
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | flags;
  header->nlmsg_seq = ++sequence;
  return append(b, length);
}

static struct rtattr *attribute(struct batch *b, int type, const void *value, size_t length) {
  struct rtattr *made = append(b, RTA_LENGTH(length));
  made->rta_type = type;
  made->rta_len = RTA_LENGTH(length);
  if (length) memcpy(RTA_DATA(made), value, length);
  return made;
}

static void number(struct batch *b, int type, int value) { attribute(b, type, &value, sizeof value); }

static void end(struct batch *b, struct rtattr *nest) { nest->rta_len = b->bytes + b->length - (char *)nest; }

static int send_batch(int fd, struct batch *b) {
  b->message->nlmsg_flags |= NLM_F_ACK;
  if (send(fd, b->bytes, b->length, 0) < 0) return fail("send");
  char answer[8192];
  // A message that is refused is answered too, and comes before the last one's acknowledgement.
  for (;;) {
    ssize_t length = recv(fd, answer, sizeof answer, 0);
    if (length < 0) return fail("recv");
    for (struct nlmsghdr *m = (void *)answer; NLMSG_OK(m, length); m = NLMSG_NEXT(m, length)) {
      int error = m->nlmsg_type == NLMSG_ERROR ? ((struct nlmsgerr *)NLMSG_DATA(m))->error : 0;
      if (error) {
        errno = -error;
        return fail("rtnetlink");
      }
      if (m->nlmsg_seq == sequence) return 0;
    }
  }
}

static void host_end(const char *name, char *to) { snprintf(to, IFNAMSIZ, "c%.14s", name); }

static int make_netns(const char *path) {
  int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (file < 0) return fail("open");
  close(file);
  if (unshare(CLONE_NEWNET)) return fail("unshare");
  if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL)) return fail("mount");
  return 0;
}

static void pod_mac(struct in_addr address, unsigned char *mac) {
  mac[0] = 0x0a;
  mac[1] = 0x58;
  memcpy(mac + 2, &address, 4);
}

static void make_pair(struct batch *b, const char *name, struct in_addr address, int netns, int index) {
  unsigned char mac[6];
  pod_mac(address, mac);
  char own[IFNAMSIZ];
  host_end(name, own);
  struct ifinfomsg *link = message(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *link);
  // The peer's is heeded only where this one has one.
  link->ifi_index = index;
  link->ifi_flags = link->ifi_change = bridge ? IFF_UP : IFF_UP | IFF_NOARP;
  attribute(b, IFLA_IFNAME, own, strlen(own) + 1);
  if (bridge) number(b, IFLA_MASTER, bridge);
  else attribute(b, IFLA_ADDRESS, host_mac, sizeof host_mac);
  number(b, IFLA_NUM_TX_QUEUES, 1);
  number(b, IFLA_NUM_RX_QUEUES, 1);
  struct rtattr *info = attribute(b, IFLA_LINKINFO, NULL, 0);
  attribute(b, IFLA_INFO_KIND, "veth", 4);
  struct rtattr *of_veth = attribute(b, IFLA_INFO_DATA, NULL, 0);
  struct rtattr *other = attribute(b, VETH_INFO_PEER, NULL, 0);
  struct ifinfomsg *peer = append(b, sizeof *peer);
  // The same number as the other end's would make the kernel tell late that this one is up.
  peer->ifi_index = bridge ? index : index + 1;
  attribute(b, IFLA_IFNAME, "eth0", 5);
  if (!bridge) attribute(b, IFLA_ADDRESS, mac, sizeof mac);
  number(b, IFLA_NET_NS_FD, netns);
  number(b, IFLA_NUM_TX_QUEUES, 1);
  number(b, IFLA_NUM_RX_QUEUES, 1);
  end(b, other);
  end(b, of_veth);
  end(b, info);
}

static void neighbour(struct batch *b, const void *address, const unsigned char *mac, int index) {
  struct ndmsg *entry = message(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, sizeof *entry);
  entry->ndm_family = AF_INET;
  entry->ndm_ifindex = index;
  entry->ndm_state = NUD_PERMANENT;
  attribute(b, NDA_DST, address, 4);
  attribute(b, NDA_LLADDR, mac, 6);
}

// What the host knows of a link of its own.
static void route_to(struct batch *b, struct in_addr address, int index) {
  unsigned char mac[6];
  pod_mac(address, mac);
  struct ifinfomsg *link = message(b, RTM_SETLINK, 0, sizeof *link);
  link->ifi_index = index;
  struct rtattr *spec = attribute(b, IFLA_AF_SPEC, NULL, 0);
  struct rtattr *inet = attribute(b, AF_INET, NULL, 0);
  struct rtattr *settings = attribute(b, IFLA_INET_CONF, NULL, 0);
  number(b, IPV4_DEVCONF_RP_FILTER, 1);
  end(b, settings);
  end(b, inet);
  end(b, spec);
  neighbour(b, &address, mac, index);
  struct rtmsg *way = message(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof *way);
  way->rtm_family = AF_INET;
  way->rtm_dst_len = 32;
  way->rtm_table = RT_TABLE_MAIN;
  way->rtm_protocol = RTPROT_BOOT;
  way->rtm_scope = RT_SCOPE_LINK;
  way->rtm_type = RTN_UNICAST;
  attribute(b, RTA_DST, &address, sizeof address);
  attribute(b, RTA_PREFSRC, &gateway, sizeof gateway);
  number(b, RTA_OIF, index);
}

static void configure(struct batch *b, struct in_addr address, int index) {
  struct ifinfomsg *loopback = message(b, RTM_NEWLINK, 0, sizeof *loopback);
  loopback->ifi_index = 1;
  loopback->ifi_flags = loopback->ifi_change = IFF_UP;
  // Not while the pair is made, as there is no other end yet.
  struct ifinfomsg *link = message(b, RTM_NEWLINK, 0, sizeof *link);
  link->ifi_index = index;
  link->ifi_flags = link->ifi_change = IFF_UP;
  struct ifaddrmsg *own = message(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof *own);
  own->ifa_family = AF_INET;
  own->ifa_prefixlen = bridge ? prefix_length : 32;
  own->ifa_index = index;
  attribute(b, IFA_LOCAL, &address, sizeof address);
  attribute(b, IFA_ADDRESS, &address, sizeof address);
  if (!bridge) neighbour(b, way_out, host_mac, index);
  struct rtmsg *way = message(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof *way);
  way->rtm_family = AF_INET;
  way->rtm_table = RT_TABLE_MAIN;
  way->rtm_protocol = RTPROT_BOOT;
  way->rtm_scope = RT_SCOPE_UNIVERSE;
  way->rtm_type = RTN_UNICAST;
  if (!bridge) way->rtm_flags = RTNH_F_ONLINK;
  attribute(b, RTA_GATEWAY, bridge ? (const void *)&gateway : way_out, sizeof gateway);
  number(b, RTA_OIF, index);
}

static int add(const char *name, struct in_addr address) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  int made = make_netns(path);
  int pod = made ? -1 : socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  int netns = made ? -1 : open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (setns(home, CLONE_NEWNET)) abort();
  if (made) return -1;
  int index = next_index;
  next_index += 2;
  struct batch outside = {.length = 0}, inside = {.length = 0};
  make_pair(&outside, name, address, netns, index);
  if (!bridge) route_to(&outside, address, index);
  int result = send_batch(host, &outside);
  if (!result) {
    configure(&inside, address, bridge ? index : index + 1);
    result = send_batch(pod, &inside);
  }
  close(netns);
  close(pod);
  return result;
}

static int del(const char *name) {
  char path[256], own[IFNAMSIZ];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  host_end(name, own);
  struct batch b = {.length = 0};
  message(&b, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
  attribute(&b, IFLA_IFNAME, own, strlen(own) + 1);
  if (send_batch(host, &b)) return -1;
  if (umount2(path, MNT_DETACH)) return fail("umount2");
  if (unlink(path)) return fail("unlink");
  return 0;
}

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 4 || !inet_aton(argv[2], &gateway)) return 2;
  int is_routed = !strcmp(argv[1], "-");
  bridge = is_routed ? 0 : if_nametoindex(argv[1]);
  prefix_length = atoi(argv[3]);
  home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  host = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if ((!bridge && !is_routed) || home < 0 || host < 0) return 1;
  char line[256], verb[8], name[128], text[64];
  while (fgets(line, sizeof line, stdin)) {
    struct in_addr address = {0};
    int words = sscanf(line, "%7s %127s %63s", verb, name, text);
    int is_add = words == 3 && !strcmp(verb, "add") && inet_aton(text, &address);
    failed = NULL;
    long long begun = now();
    int result = is_add ? add(name, address) : del(name);
    long long took = now() - begun;
    if (result) printf("error %s: %s\n", failed, strerror(errno));
    else printf("%lld\n", took);
    fflush(stdout);
  }
  return 0;
}
