//! Uses of the device, with its errors. Names the tensor whose buffer the device refuses: wgpu's error only has the label
//! of the buffer, if it has any.

use std::future::Future;

use wgpu::{
    BindGroupDescriptor, BindGroupEntry, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingResource, BindingType,
    Buffer, BufferBinding, BufferBindingType, BufferSize, Device, ShaderStages,
};

use crate::config::group::Group;
use crate::error::Error;
use crate::gpu::error_scopes::{BROWSER, ErrorScopes, now_or_none};
use crate::gpu::readback::alive;

/// Uses the device, and returns its errors without waiting for them. In a browser they are not known yet: no scope is open
/// there, so that they reach the caller's scopes or the device's handler.
pub(crate) fn at_once<T>(
    device: &Device,
    groups: &[Group],
    what: &'static str,
    run: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    if BROWSER {
        return run();
    }
    let scopes = ErrorScopes::open(device);
    let done = run();
    now_or_none(blame(scopes.close(what), device, groups)).unwrap_or(Ok(()))?;
    done
}

/// Uses the device, and waits for its errors.
pub(crate) async fn awaited<T>(
    device: &Device,
    groups: &[Group],
    what: &'static str,
    run: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let scopes = ErrorScopes::open(device);
    let done = run();
    blame(scopes.close(what), device, groups).await?;
    alive(device, what).await?;
    done
}

/// The outcome of closed error scopes. An error of the device is replaced by one that names the first tensor whose
/// buffer cannot be bound, if there is one.
pub(crate) async fn blame(
    closed: impl Future<Output = Result<(), Error>>,
    device: &Device,
    groups: &[Group],
) -> Result<(), Error> {
    let outcome = closed.await;
    if !matches!(outcome, Err(Error::Device { .. })) {
        return outcome;
    }
    for tensor in groups.iter().flat_map(|group| &group.tensors) {
        for (view, of) in [("param", Some(&tensor.param)), ("grad", tensor.grad.view())] {
            let Some(of) = of else { continue };
            let scopes = ErrorScopes::open(device);
            bind_alone(device, &of.buffer);
            if let Err(Error::Device { reason, .. }) = scopes.close("binding a buffer").await {
                return Err(Error::Buffer { tensor: tensor.name.clone(), view, reason });
            }
        }
    }
    outcome
}

/// Makes a bind group that has the first bytes of a buffer.
fn bind_alone(device: &Device, buffer: &Buffer) {
    let layout = device.create_bind_group_layout(&BindGroupLayoutDescriptor {
        label: None,
        entries: &[BindGroupLayoutEntry {
            binding: 0,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer {
                ty: BufferBindingType::Storage { read_only: true },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        }],
    });
    let first = BufferBinding { buffer, offset: 0, size: BufferSize::new(4) };
    let entries = [BindGroupEntry { binding: 0, resource: BindingResource::Buffer(first) }];
    let _ = device.create_bind_group(&BindGroupDescriptor { label: None, layout: &layout, entries: &entries });
}
