"""The steps between offline and online, by architecture and kernel: `cpuhp_hp_states`.

Recorded from stock kernels of Debian; without what belongs to a paravirtual network
card, and with the states of Hyper-V.  Of those, the fixed ones stand where
`enum cpuhp_state` has them, before the dummy timer and behind the idle state; the
dynamic ones (before v6.7 `hyperv_init` is one) come behind those recorded.
"""

from __future__ import annotations

__all__ = ["ARM64_6_1", "ARM64_6_12", "X86_6_1", "X86_6_12", "X86_7_2"]

X86_6_1 = """
0 offline 1 threads:prepare 2 perf:prepare 9 x86/mce:dead 11 slub:dead 13 mm/writeback:dead
15 mm/vmstat:dead 16 softirq:dead 21 irq_poll:dead 22 block/softirq:dead 23 block/bio:dead
24 acpi/cpu-drv:dead 26 block/mq:dead 27 fs/buffer:dead 28 printk:dead 29 mm/memctrl:dead
31 lib/percpu_cnt:dead 32 lib/radix:dead 33 mm/page_alloc:pcp 34 net/dev:dead 36 iommu/iova:dead
40 random:prepare 41 workqueue:prepare 43 hrtimers:prepare 46 smpcfd:prepare 47 relay:prepare
48 slab:prepare 50 RCU/tree:prepare 59 base/topology:prepare 62 trace/RB:prepare
64 mm/zswap:prepare 65 mm/zswap_pool:prepare 68 timers:prepare 70 fork:vm_stack_cache
91 cpu:bringup 92 idle:dead 93 ap:offline 94 sched:starting 95 RCU/tree:dying
141 clockevents/hyperv/stimer:starting 148 smpcfd:dying 149 hrtimers:dying 152 ap:online
153 cpu:teardown 155 sched:waitempty 156 smpboot/threads:online 158 irq/affinity:online
159 block/mq:online 162 perf:online 196 lockup_detector:online 197 workqueue:online
198 random:online 199 RCU/tree:online 200 base/cacheinfo:online 201 mm/writeback:online
202 mm/vmstat:online 203 padata:online 204 mm/compaction:online 205 io-wq/online
206 lib/percpu_cnt:online 207 acpi/cpu-drv:online 208 leds/trigger:starting 209 x86/mce:online
210 printk:online 211 x86/hyperv_init:online 212 hyperv/vmbus:online 235 sched:active 236 online
"""

X86_6_12 = """
0 offline 1 threads:prepare 2 perf:prepare 8 x86/mce:dead 11 slub:dead 13 mm/writeback:dead
14 mm/vmstat:dead 15 softirq:dead 20 irq_poll:dead 21 block/softirq:dead 22 block/bio:dead
23 acpi/cpu-drv:dead 25 block/mq:dead 26 fs/buffer:dead 27 printk:dead 28 mm/memctrl:dead
29 lib/percpu_cnt:dead 30 lib/radix:dead 31 mm/page_alloc:pcp 32 net/dev:dead 34 iommu/iova:dead
37 random:prepare 38 workqueue:prepare 40 hrtimers:prepare 42 smpcfd:prepare 43 relay:prepare
45 RCU/tree:prepare 53 base/topology:prepare 56 trace/RB:prepare 57 mm/zsmalloc:prepare
61 timers:prepare 62 tmigr:prepare 64 fork:vm_stack_cache 65 crash/cpuhp 85 cpu:kick_ap
86 cpu:bringup 87 idle:dead 88 ap:offline 89 x86/cachectrl:starting 90 sched:starting
91 RCU/tree:dying 132 clockevents/hyperv/stimer:starting 139 smpcfd:dying 140 hrtimers:dying
141 tick:dying 144 ap:online 145 cpu:teardown 147 x86/hyperv_init:online 149 sched:waitempty
150 smpboot/threads:online 151 irq/affinity:online 152 block/mq:online 155 perf:online
186 tmigr:online 187 lockup_detector:online 188 workqueue:online 189 random:online
190 RCU/tree:online 191 base/cacheinfo:online 192 mm/writeback:online 193 mm/vmstat:online
194 padata:online 195 mm/compaction:online 196 io-wq/online 197 lib/percpu_cnt:online
198 leds/trigger:starting 199 acpi/cpu-drv:online 200 x86/mce:online 201 printk:online
202 hyperv/vmbus:online 235 sched:active 236 online
"""

X86_7_2 = """
0 offline 1 threads:prepare 7 x86/mce:dead 10 slub:dead 12 mm/writeback:dead 13 mm/vmstat:dead
14 softirq:dead 19 irq_poll:dead 20 block/softirq:dead 21 block/bio:dead 22 acpi/cpu-drv:dead
24 block/mq:dead 25 fs/buffer:dead 26 printk:dead 27 mm/memctrl:dead 28 lib/percpu_cnt:dead
29 lib/radix:dead 30 mm/page_alloc:pcp 31 net/dev:dead 32 iommu/iova:dead 35 random:prepare
36 workqueue:prepare 38 hrtimers:prepare 40 smpcfd:prepare 41 relay:prepare 43 RCU/tree:prepare
51 base/topology:prepare 54 trace/RB:prepare 58 timers:prepare 59 tmigr:prepare
61 fork:vm_stack_cache 62 crash/cpuhp 82 cpu:kick_ap 83 cpu:bringup 84 idle:dead 85 ap:offline
86 x86/cachectrl:starting 87 sched:starting 88 RCU/tree:dying
130 clockevents/hyperv/stimer:starting 137 smpcfd:dying 138 hrtimers:dying 139 tick:dying
142 ap:online 143 cpu:teardown 145 x86/hyperv_init:online 147 sched:waitempty
148 smpboot/threads:online 149 irq/affinity:online 150 block/mq:online 154 perf:online
185 tmigr:online 186 lockup_detector:online 187 workqueue:online 188 random:online
189 RCU/tree:online 190 kthreads:online 191 base/cacheinfo:online 192 mm/writeback:online
193 mm/vmstat:online 194 padata:online 195 io-wq/online 196 topology/cpu-capacity
197 lib/percpu_cnt:online 198 leds/trigger:starting 199 acpi/cpu-drv:online 200 x86/mce:online
201 printk:online 202 hyperv/vmbus:online 235 sched:active 236 online
"""

ARM64_6_1 = """
0 offline 1 threads:prepare 2 perf:prepare 11 slub:dead 13 mm/writeback:dead 15 mm/vmstat:dead
16 softirq:dead 19 arm64/fpsimd:dead 21 irq_poll:dead 22 block/softirq:dead 23 block/bio:dead
26 block/mq:dead 27 fs/buffer:dead 28 printk:dead 29 mm/memctrl:dead 31 lib/percpu_cnt:dead
32 lib/radix:dead 33 mm/page_alloc:pcp 34 net/dev:dead 36 iommu/iova:dead 40 random:prepare
41 workqueue:prepare 43 hrtimers:prepare 46 smpcfd:prepare 47 relay:prepare 48 slab:prepare
50 RCU/tree:prepare 59 base/topology:prepare 62 trace/RB:prepare 64 mm/zswap:prepare
65 mm/zswap_pool:prepare 68 timers:prepare 70 fork:vm_stack_cache 91 cpu:bringup 92 idle:dead
93 ap:offline 94 sched:starting 95 RCU/tree:dying 97 irqchip/arm/gicv3:starting
116 arm64/debug_monitors:starting 117 perf/arm64/hw_breakpoint:starting 119 perf/arm/pmu:starting
123 clockevents/arm/arch_timer:starting 142 clockevents/dummy_timer:starting
147 arm64/isndep:starting 148 smpcfd:dying 149 hrtimers:dying 152 ap:online 153 cpu:teardown
155 sched:waitempty 156 smpboot/threads:online 158 irq/affinity:online 159 block/mq:online
162 perf:online 175 AP_PERF_ARM_HISI_CPA_ONLINE 176 AP_PERF_ARM_HISI_DDRC_ONLINE
177 AP_PERF_ARM_HISI_HHA_ONLINE 178 AP_PERF_ARM_HISI_L3_ONLINE 179 AP_PERF_ARM_HISI_PA_ONLINE
180 AP_PERF_ARM_HISI_SLLC_ONLINE 184 AP_PERF_ARM_QCOM_L2_ONLINE 185 perf/qcom/l3cache:online
196 lockup_detector:online 197 workqueue:online 198 random:online 199 RCU/tree:online
200 base/cacheinfo:online 201 mm/writeback:online 202 mm/vmstat:online 203 padata:online
204 mm/compaction:online 205 io-wq/online 206 arm64/cpuinfo:online 207 lib/percpu_cnt:online
208 leds/trigger:starting 209 printk:online 210 arm64/hyperv_init:online 211 hyperv/vmbus:online
235 sched:active 236 online
"""

ARM64_6_12 = """
0 offline 1 threads:prepare 2 perf:prepare 11 slub:dead 13 mm/writeback:dead 14 mm/vmstat:dead
15 softirq:dead 18 arm64/fpsimd:dead 20 irq_poll:dead 21 block/softirq:dead 22 block/bio:dead
25 block/mq:dead 26 fs/buffer:dead 27 printk:dead 28 mm/memctrl:dead 29 lib/percpu_cnt:dead
30 lib/radix:dead 31 mm/page_alloc:pcp 32 net/dev:dead 34 iommu/iova:dead 37 random:prepare
38 workqueue:prepare 40 hrtimers:prepare 42 smpcfd:prepare 43 relay:prepare 45 RCU/tree:prepare
53 base/topology:prepare 56 trace/RB:prepare 57 mm/zsmalloc:prepare 61 timers:prepare
62 tmigr:prepare 64 irqchip/arm/gicv3:checkrdist 65 fork:vm_stack_cache 86 cpu:bringup
87 idle:dead 88 ap:offline 90 sched:starting 91 RCU/tree:dying 93 irqchip/arm/gicv3:starting
110 arm64/debug_monitors:starting 111 perf/arm64/hw_breakpoint:starting 113 perf/arm/pmu:starting
117 clockevents/arm/arch_timer:starting 118 clockevents/arm/arch_timer_evtstrm:starting
133 clockevents/dummy_timer:starting 138 arm64/isndep:starting 139 smpcfd:dying 140 hrtimers:dying
141 tick:dying 144 ap:online 145 cpu:teardown 147 arm64/hyperv_init:online 149 sched:waitempty
150 smpboot/threads:online 151 irq/affinity:online 152 block/mq:online 155 perf:online
165 AP_PERF_ARM_HISI_CPA_ONLINE 166 AP_PERF_ARM_HISI_DDRC_ONLINE 167 AP_PERF_ARM_HISI_HHA_ONLINE
168 AP_PERF_ARM_HISI_L3_ONLINE 169 AP_PERF_ARM_HISI_PA_ONLINE 170 AP_PERF_ARM_HISI_SLLC_ONLINE
174 AP_PERF_ARM_QCOM_L2_ONLINE 175 perf/qcom/l3cache:online 186 tmigr:online
187 lockup_detector:online 188 workqueue:online 189 random:online 190 RCU/tree:online
191 base/cacheinfo:online 192 mm/writeback:online 193 mm/vmstat:online 194 padata:online
195 mm/compaction:online 196 io-wq/online 197 topology/cpu-capacity 198 arm64/cpuinfo:online
199 lib/percpu_cnt:online 200 leds/trigger:starting 201 perf/hisi/uc:online 202 printk:online
203 hyperv/vmbus:online 235 sched:active 236 online
"""
