// The reference of the benchmarks: Go's libcni in one process, which does what it is told line by line.
//
//	reference CONFLIST CNI_PATH CACHE_DIR
//
// A line on stdin is a job in JSON; the answer is a line of JSON with the time of each pod and of all, in milliseconds.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containernetworking/cni/libcni"
)

type pod struct {
	ID             string                 `json:"id"`
	Netns          string                 `json:"netns"`
	CapabilityArgs map[string]interface{} `json:"capabilityArgs"`
}

type job struct {
	Operation   string `json:"operation"`
	Concurrency int    `json:"concurrency"`
	Pods        []pod  `json:"pods"`
}

type answer struct {
	Each  []float64 `json:"each"`
	Total float64   `json:"total"`
	Error string    `json:"error,omitempty"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: reference CONFLIST CNI_PATH CACHE_DIR")
		os.Exit(2)
	}
	list, err := libcni.ConfListFromFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cni := libcni.NewCNIConfigWithCacheDir(filepath.SplitList(os.Args[2]), os.Args[3], nil)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var work job
		if err := json.Unmarshal(lines.Bytes(), &work); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		reply, _ := json.Marshal(run(cni, list, work))
		fmt.Println(string(reply))
	}
}

func run(cni *libcni.CNIConfig, list *libcni.NetworkConfigList, work job) answer {
	result := answer{Each: make([]float64, len(work.Pods))}
	next := make(chan int)
	var failed sync.Once
	var all sync.WaitGroup
	started := time.Now()
	for worker := 0; worker < work.Concurrency; worker++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range next {
				begun := time.Now()
				if err := one(cni, list, work.Operation, work.Pods[i]); err != nil {
					failed.Do(func() { result.Error = err.Error() })
				}
				result.Each[i] = milliseconds(begun)
			}
		}()
	}
	for i := range work.Pods {
		next <- i
	}
	close(next)
	all.Wait()
	result.Total = milliseconds(started)
	return result
}

func one(cni *libcni.CNIConfig, list *libcni.NetworkConfigList, operation string, p pod) error {
	runtime := &libcni.RuntimeConf{ContainerID: p.ID, NetNS: p.Netns, IfName: "eth0", CapabilityArgs: p.CapabilityArgs}
	if operation == "del" {
		return cni.DelNetworkList(context.Background(), list, runtime)
	}
	_, err := cni.AddNetworkList(context.Background(), list, runtime)
	return err
}

func milliseconds(since time.Time) float64 {
	return float64(time.Since(since).Microseconds()) / 1000
}
