module github.com/gannet-ws/gannet/bench/load

go 1.26

require github.com/HdrHistogram/hdrhistogram-go v1.4.0
