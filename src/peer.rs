//! Whose process is at the other end of a loopback socket? The kernel's socket table knows (Linux, netlink `sock_diag(7)`):
//! loopback alone proves nothing, since any user, container or forwarder of this machine may connect from there, or listen.

use std::net::SocketAddr;

use crate::pairing::PeerUser;

/// Asks the kernel whether the socket at `peer` that is connected to `local` belongs to `owner`.
#[must_use]
pub fn user_of(peer: SocketAddr, local: SocketAddr, owner: u32) -> PeerUser {
    if !peer.ip().to_canonical().is_loopback() {
        return PeerUser::NotAsked;
    }
    if !cfg!(target_os = "linux") {
        return PeerUser::Untold;
    }
    match uid_of(peer, local) {
        Some(uid) if is_nobody(uid) => PeerUser::Unknown,
        Some(uid) if uid == owner => PeerUser::Owner,
        Some(_) => PeerUser::Other,
        None => PeerUser::Unknown,
    }
}

/// Whether this is no user, but what the kernel says of each that the namespace of this process does not know: two of them look
/// the same, and files of theirs look as if they were ours.
#[must_use]
pub fn is_nobody(uid: u32) -> bool {
    let said = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    uid == said.and_then(|said| said.trim().parse().ok()).unwrap_or(65_534)
}

/// The stranger who serves a connection to loopback, as far as the kernel tells: neither us, nor root, nor whom we expect. It has
/// to be asked once the server has said something, since before that nobody may have taken the connection.
#[must_use]
pub fn stranger_at(server: SocketAddr, own: SocketAddr, expected: Option<u32>) -> Option<u32> {
    if !server.ip().to_canonical().is_loopback() {
        return None;
    }
    let user = rustix::process::geteuid().as_raw();
    uid_of(server, own).filter(|uid| *uid != 0 && Some(*uid) != expected && (*uid != user || is_nobody(*uid)))
}

#[cfg(not(target_os = "linux"))]
fn uid_of(_: SocketAddr, _: SocketAddr) -> Option<u32> {
    None
}

#[cfg(target_os = "linux")]
fn uid_of(peer: SocketAddr, local: SocketAddr) -> Option<u32> {
    use rustix::net::netlink::{self, SocketAddrNetlink};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

    /// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h.
    const BY_FAMILY: u16 = 20;
    /// Where `idiag_uid` lies in the answer: after netlink's header, 4 bytes, the socket's id of 48, and three counters.
    const UID_AT: usize = 16 + 4 + 48 + 12;

    let mut request = Vec::with_capacity(72);
    request.extend(72_u32.to_ne_bytes());
    request.extend(BY_FAMILY.to_ne_bytes());
    request.extend(1_u16.to_ne_bytes()); // NLM_F_REQUEST
    request.extend([0; 8]); // sequence and port
    let is_v4 = peer.ip().to_canonical().is_ipv4();
    request.extend([if is_v4 { 2 } else { 10 }, 6, 0, 0]); // AF_INET or AF_INET6, IPPROTO_TCP
    request.extend(u32::MAX.to_ne_bytes()); // in any state
    request.extend(peer.port().to_be_bytes());
    request.extend(local.port().to_be_bytes());
    for address in [peer, local] {
        let mut bytes = [0; 16];
        match address.ip().to_canonical() {
            std::net::IpAddr::V4(v4) => bytes.iter_mut().zip(v4.octets()).for_each(|(to, from)| *to = from),
            std::net::IpAddr::V6(v6) => bytes = v6.octets(),
        }
        request.extend(bytes);
    }
    request.extend([0; 4]); // any interface
    request.extend([0xff; 8]); // no cookie

    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG)).ok()?;
    sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).ok()?;
    let mut answer = [0_u8; 512];
    // The kernel answers a request for one socket before sendto returns, so this never waits.
    let (length, _) = recv(&socket, &mut answer, RecvFlags::DONTWAIT).ok()?;
    let answer = answer.get(..length)?;
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let uid = answer.get(UID_AT..UID_AT.checked_add(4)?)?;
    (kind == BY_FAMILY).then_some(u32::from_ne_bytes(uid.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn x17_the_kernel_names_the_user_at_the_other_end() {
        let own = rustix::process::geteuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let local = listener.local_addr().expect("bound");
            let client = TcpStream::connect(local).expect("connected");
            let (_server, peer) = listener.accept().expect("accepted");
            assert_eq!(user_of(peer, local, own), PeerUser::Owner, "{address}");
            assert_eq!(user_of(peer, local, own.wrapping_add(1)), PeerUser::Other, "{address}");
            let elsewhere = SocketAddr::new(peer.ip(), peer.port().wrapping_add(1));
            assert_eq!(user_of(elsewhere, local, own), PeerUser::Unknown, "{address}");
            assert_eq!(stranger_at(local, peer, None), None, "{address}");
            drop(client);
        }
    }
}
