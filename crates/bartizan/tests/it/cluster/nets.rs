//! Networks of their own for instances, all on one bridge, that can be parted.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

/// Networks that end with this.
pub struct Nets {
    tag: String,
    subnet: u8,
    count: usize,
}

fn run(line: &str) -> bool {
    let mut words = line.split(' ');
    let program = words.next().unwrap();
    Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
}

impl Nets {
    /// Makes networks; `None`, and a word about it, where that is not permitted.
    pub fn start(test: &str, count: usize) -> Option<Self> {
        let id = std::process::id();
        let nets = Self { tag: format!("bz{}", id % 100_000), subnet: (id % 200) as u8, count };
        if nets.make() {
            return Some(nets);
        }
        // What makes them is installed; whether the system permits it is not ours to say.
        assert!(run("ip -V") || std::env::var("CI").as_deref() != Ok("true"), "iproute2 is not installed");
        println!("skipped: {test}: networks of processes cannot be made here");
        None
    }

    fn make(&self) -> bool {
        let (tag, host) = (&self.tag, self.host());
        let bridge = run(&format!("ip link add {tag} type bridge"))
            && run(&format!("ip addr add {host}/24 dev {tag}"))
            && run(&format!("ip link set {tag} up"));
        bridge
            && (0..self.count).all(|index| {
                let (net, address) = self.place(index);
                run(&format!("ip netns add {net}"))
                    && run(&format!("ip link add {tag}h{index} type veth peer name eth0 netns {net}"))
                    && run(&format!("ip link set {tag}h{index} master {tag}"))
                    && run(&format!("ip link set {tag}h{index} up"))
                    && run(&format!("ip -n {net} addr add {address}/24 dev eth0"))
                    && run(&format!("ip -n {net} link set eth0 up"))
                    && run(&format!("ip -n {net} link set lo up"))
            })
    }

    /// The address under which all reach this process.
    pub fn host(&self) -> IpAddr {
        Ipv4Addr::new(10, 213, self.subnet, 1).into()
    }

    /// The name and the address of a network.
    pub fn place(&self, index: usize) -> (String, IpAddr) {
        let address = Ipv4Addr::new(10, 213, self.subnet, index as u8 + 2);
        (format!("{}n{index}", self.tag), address.into())
    }

    /// Lets none reach any other; all still reach this process.
    pub fn part(&self) {
        self.isolate("on");
    }

    /// Lets all reach each other again.
    pub fn heal(&self) {
        self.isolate("off");
    }

    fn isolate(&self, how: &str) {
        for index in 0..self.count {
            let device = format!("{}h{index}", self.tag);
            assert!(run(&format!("ip link set dev {device} type bridge_slave isolated {how}")));
        }
    }
}

impl Drop for Nets {
    fn drop(&mut self) {
        for index in 0..self.count {
            run(&format!("ip netns del {}", self.place(index).0));
        }
        run(&format!("ip link del {}", self.tag));
    }
}
