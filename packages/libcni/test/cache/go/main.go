// Writes and reads cache entries with Go's libcni: "write DIR VERSION" runs ADD, "read DIR VERSION" prints what it finds.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/containernetworking/cni/libcni"
)

func main() {
	command, dir, version := os.Args[1], os.Args[2], os.Args[3]
	conf := fmt.Sprintf(`{"name":"net1","cniVersion":%q,"plugins":[{"type":"one","key":"value"}]}`, version)
	list, err := libcni.ConfListFromBytes([]byte(conf))
	check(err)
	cni := libcni.NewCNIConfigWithCacheDir([]string{dir + "/plugins"}, dir+"/cache", nil)
	rt := &libcni.RuntimeConf{ContainerID: "c1", NetNS: "/run/netns/c1", IfName: "eth0"}
	if command == "write" {
		rt.Args = [][2]string{{"K8S_POD_NAME", "pod"}, {"IgnoreUnknown", "1"}}
		rt.CapabilityArgs = map[string]interface{}{"portMappings": []map[string]int{{"hostPort": 8080}}}
		_, err = cni.AddNetworkList(context.Background(), list, rt)
		check(err)
		return
	}
	result, err := cni.GetNetworkListCachedResult(list, rt)
	check(err)
	config, found, err := cni.GetNetworkListCachedConfig(list, rt)
	check(err)
	check(json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"result": result, "config": string(config), "args": found.Args, "capabilityArgs": found.CapabilityArgs,
	}))
	check(cni.DelNetworkList(context.Background(), list, found))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
