//! Compiles kernels with RADV, the Vulkan driver of Mesa for AMD's cards. It needs no card: `RADV_FORCE_FAMILY` makes a device that
//! compiles and does nothing else.

use std::ffi::{CStr, CString};

use ash::khr::pipeline_executable_properties::{Device as Executables, NAME as EXECUTABLES};
use ash::{Entry, Instance, vk};

use crate::spirv::Kernel;

/// What the driver says of a kernel.
pub struct Compiled {
    statistics: Vec<(String, u64)>,
    pub assembly: String,
}

impl Compiled {
    /// A statistic by its name in Mesa.
    pub fn of(&self, name: &str) -> u64 {
        let found = self.statistics.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("this driver does not tell \"{name}\"")).1
    }
}

/// A driver that compiles for one family.
pub struct Driver {
    // The library stays loaded as long as this lives.
    _entry: Entry,
    instance: Instance,
    device: ash::Device,
    executables: Executables,
    pub name: String,
}

fn text(chars: &[std::ffi::c_char]) -> String {
    let bytes = chars.iter().map(|char| *char as u8).take_while(|byte| *byte != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

impl Driver {
    /// The device of wgpu that matters to a compiler: Vulkan 1.3 with robust access to buffers.
    pub fn new(family: &str) -> Result<Self, String> {
        // SAFETY: this program has one thread.
        unsafe { std::env::set_var("RADV_FORCE_FAMILY", family) };
        // SAFETY: the handles are used in the order of their creation, and the arguments live during each call.
        unsafe {
            let entry = Entry::load().map_err(|error| format!("no Vulkan loader: {error}"))?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let create = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = entry.create_instance(&create, None).map_err(|error| format!("no instance: {error}"))?;
            let mut devices = instance.enumerate_physical_devices().map_err(|error| error.to_string())?.into_iter();
            let radv = devices.find_map(|device| {
                let mut driver = vk::PhysicalDeviceDriverProperties::default();
                let mut all = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
                instance.get_physical_device_properties2(device, &mut all);
                let name = format!("{} {}", text(&driver.driver_name), text(&driver.driver_info));
                (driver.driver_id == vk::DriverId::MESA_RADV).then_some((device, name))
            });
            let (physical, name) = radv.ok_or_else(|| format!("RADV makes no device of the family {family}"))?;
            let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default().robust_buffer_access2(true);
            let mut properties =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let features = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
            let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
            let extensions = [EXECUTABLES.as_ptr(), ash::ext::robustness2::NAME.as_ptr()];
            let create = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&extensions)
                .enabled_features(&features)
                .push_next(&mut robust)
                .push_next(&mut properties);
            let device =
                instance.create_device(physical, &create, None).map_err(|error| format!("no device: {error}"))?;
            let executables = Executables::new(&instance, &device);
            Ok(Self { _entry: entry, instance, device, executables, name })
        }
    }

    pub fn compile(&self, kernel: &Kernel) -> Result<Compiled, vk::Result> {
        let device = &self.device;
        let bindings: Vec<_> = (0..)
            .zip(&kernel.uniforms)
            .map(|(binding, uniform)| {
                let kind =
                    if *uniform { vk::DescriptorType::UNIFORM_BUFFER } else { vk::DescriptorType::STORAGE_BUFFER };
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_type(kind)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let entry_point = CString::new(kernel.entry_point.as_str()).expect("a name in WGSL has no zero byte");
        // SAFETY: as in `new`. The program ends before the objects that are not destroyed matter.
        unsafe {
            let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device.create_descriptor_set_layout(&create, None)?];
            let layout =
                device.create_pipeline_layout(&vk::PipelineLayoutCreateInfo::default().set_layouts(&sets), None)?;
            let module =
                device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(&kernel.words), None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(&entry_point);
            let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let create = vk::ComputePipelineCreateInfo::default().flags(flags).stage(stage).layout(layout);
            let pipelines = device.create_compute_pipelines(vk::PipelineCache::null(), &[create], None);
            let pipeline = pipelines.map_err(|(_, error)| error)?[0];
            let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
            let statistics = self.executables.get_pipeline_executable_statistics(&executable)?;
            let statistics = statistics.iter().map(|found| (text(&found.name), found.value.u64)).collect();
            Ok(Compiled { statistics, assembly: self.assembly(&executable)? })
        }
    }

    /// The machine code as text. `ash` has no wrapper for this call.
    ///
    /// # Safety
    ///
    /// The pipeline of `executable` is alive.
    unsafe fn assembly(&self, executable: &vk::PipelineExecutableInfoKHR) -> Result<String, vk::Result> {
        let get = self.executables.fp().get_pipeline_executable_internal_representations_khr;
        let mut count = 0;
        // SAFETY: `found` has `count` items, and each `text` as many bytes as the driver asks for.
        unsafe {
            get(self.device.handle(), executable, &mut count, std::ptr::null_mut()).result()?;
            let mut found = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            get(self.device.handle(), executable, &mut count, found.as_mut_ptr()).result()?;
            let mut texts: Vec<Vec<u8>> = found.iter().map(|found| vec![0; found.data_size]).collect();
            for (found, text) in found.iter_mut().zip(&mut texts) {
                found.p_data = text.as_mut_ptr().cast();
            }
            get(self.device.handle(), executable, &mut count, found.as_mut_ptr()).result()?;
            let at = found.iter().position(|found| text(&found.name).contains("Assembly"));
            let bytes = at.map(|at| std::mem::take(&mut texts[at])).unwrap_or_default();
            let text = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
            Ok(text.to_string_lossy().into_owned())
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // SAFETY: nothing uses them afterwards. Objects of the device end with it in RADV.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}
