# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""OVF descriptors with what products write less often, for a VM with a boot disk and a data disk."""

from __future__ import annotations

#: OVF 2.0: devices of their own kinds, which share an instance; a CD's image among the disks; a disk
#: on IDE, which VirtualBox boots before SATA; a name with a space, escaped; no sizes of files.
VIRTUALBOX_2 = """<?xml version="1.0"?>
<Envelope ovf:version="2.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/2"
 xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:vbox="http://www.virtualbox.org/ovf/machine"
 xmlns:epasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_EthernetPortAllocationSettingData.xsd"
 xmlns:sasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_StorageAllocationSettingData.xsd">
  <References>
    <File ovf:id="file1" ovf:href="web%2001-disk001.vmdk"/>
    <File ovf:id="file2" ovf:href="web%2001-disk002.vmdk"/>
    <File ovf:id="file3" ovf:href="web%2001-disk003.iso"/>
  </References>
  <DiskSection>
    <Info>List of the virtual disks used in the package</Info>
    <Disk ovf:capacity="{capacity1}" ovf:diskId="vmdisk1" ovf:fileRef="file1"
     ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
    <Disk ovf:capacity="{capacity2}" ovf:diskId="vmdisk2" ovf:fileRef="file2"
     ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
    <Disk ovf:capacity="0" ovf:diskId="vmdisk3" ovf:fileRef="file3"
     ovf:format="http://www.ecma-international.org/publications/standards/Ecma-119.htm"/>
  </DiskSection>
  <NetworkSection>
    <Info>Logical networks used in the package</Info>
    <Network ovf:name="External"/>
    <Network ovf:name="Internal"/>
  </NetworkSection>
  <VirtualSystem ovf:id="web 01">
    <Info>A virtual machine</Info>
    <ProductSection><Info>Meta-information</Info><Product>Web server</Product></ProductSection>
    <OperatingSystemSection ovf:id="121">
      <Info>The kind of installed guest operating system</Info>
      <Description>Other_64</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware requirements for a virtual machine</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>web 01</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>virtualbox-2.2</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:Caption>2 virtual CPU</rasd:Caption>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>
        <rasd:Caption>1000 MB of memory</rasd:Caption>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>1000</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Caption>ideController0</rasd:Caption>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>PIIX4</rasd:ResourceSubType>
        <rasd:ResourceType>5</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Caption>sataController0</rasd:Caption>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType>
      </Item>
      <StorageItem>
        <sasd:AddressOnParent>0</sasd:AddressOnParent>
        <sasd:Caption>disk2</sasd:Caption>
        <sasd:HostResource>/disk/vmdisk2</sasd:HostResource>
        <sasd:InstanceID>8</sasd:InstanceID>
        <sasd:Parent>5</sasd:Parent>
        <sasd:ResourceType>17</sasd:ResourceType>
      </StorageItem>
      <StorageItem>
        <sasd:AddressOnParent>0</sasd:AddressOnParent>
        <sasd:Caption>disk1</sasd:Caption>
        <sasd:HostResource>/disk/vmdisk1</sasd:HostResource>
        <sasd:InstanceID>9</sasd:InstanceID>
        <sasd:Parent>3</sasd:Parent>
        <sasd:ResourceType>17</sasd:ResourceType>
      </StorageItem>
      <StorageItem>
        <sasd:AddressOnParent>1</sasd:AddressOnParent>
        <sasd:AutomaticAllocation>true</sasd:AutomaticAllocation>
        <sasd:Caption>cdrom1</sasd:Caption>
        <sasd:HostResource>/disk/vmdisk3</sasd:HostResource>
        <sasd:InstanceID>10</sasd:InstanceID>
        <sasd:Parent>3</sasd:Parent>
        <sasd:ResourceType>15</sasd:ResourceType>
      </StorageItem>
      <EthernetPortItem>
        <epasd:AutomaticAllocation>true</epasd:AutomaticAllocation>
        <epasd:Caption>Ethernet adapter on 'External'</epasd:Caption>
        <epasd:Connection>External</epasd:Connection>
        <epasd:InstanceID>11</epasd:InstanceID>
        <epasd:ResourceSubType>E1000</epasd:ResourceSubType>
        <epasd:ResourceType>10</epasd:ResourceType>
      </EthernetPortItem>
      <EthernetPortItem>
        <epasd:AutomaticAllocation>true</epasd:AutomaticAllocation>
        <epasd:Caption>Ethernet adapter on 'Internal'</epasd:Caption>
        <epasd:Connection>Internal</epasd:Connection>
        <epasd:InstanceID>11</epasd:InstanceID>
        <epasd:ResourceSubType>VirtIO</epasd:ResourceSubType>
        <epasd:ResourceType>10</epasd:ResourceType>
      </EthernetPortItem>
    </VirtualHardwareSection>
    <vbox:Machine ovf:required="false" version="1.19-linux" uuid="u" name="web 01" OSType="Other_64">
      <ovf:Info>Complete VirtualBox machine configuration in VirtualBox format</ovf:Info>
      <Hardware>
        <Network>
          <Adapter slot="0" enabled="true" MACAddress="080027000001" type="82540EM"/>
          <Adapter slot="1" enabled="false" MACAddress="080027000002" type="82540EM"/>
          <Adapter slot="2" enabled="true" MACAddress="080027000003" type="virtio"/>
        </Network>
      </Hardware>
    </vbox:Machine>
  </VirtualSystem>
</Envelope>
"""

#: oVirt's OVA: a disk's id is not its file's; capacities in whole GiB, whatever the image has; no
#: controllers; the NIC comes before the disk in the boot order.
OVIRT_OVA = """<?xml version='1.0' encoding='UTF-8'?>
<ovf:Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1/" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1/"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:ovirt="http://www.ovirt.org/ovf" ovf:version="4.4.0.0">
  <References>
    <File ovf:href="b0000000-0000-0000-0000-000000000001" ovf:id="b0000000-0000-0000-0000-000000000001"
     ovf:size="{size1}"/>
    <File ovf:href="b0000000-0000-0000-0000-000000000002" ovf:id="b0000000-0000-0000-0000-000000000002"
     ovf:size="{size2}"/>
  </References>
  <NetworkSection><Info>List of networks</Info><Network ovf:name="lab"/></NetworkSection>
  <DiskSection>
    <Info>List of Virtual Disks</Info>
    <Disk ovf:diskId="a0000000-0000-0000-0000-000000000001" ovf:capacity="1"
     ovf:capacityAllocationUnits="byte * 2^30" ovf:parentRef=""
     ovf:fileRef="b0000000-0000-0000-0000-000000000001"
     ovf:format="http://www.gnome.org/~markmc/qcow-image-format.html" ovf:volume-format="COW"
     ovf:disk-interface="VirtIO_SCSI" ovf:boot="false" ovf:disk-alias="web01_data"/>
    <Disk ovf:diskId="a0000000-0000-0000-0000-000000000002" ovf:capacity="2"
     ovf:capacityAllocationUnits="byte * 2^30" ovf:parentRef=""
     ovf:fileRef="b0000000-0000-0000-0000-000000000002"
     ovf:format="http://www.gnome.org/~markmc/qcow-image-format.html" ovf:volume-format="COW"
     ovf:disk-interface="VirtIO" ovf:boot="true" ovf:disk-alias="web01_system"/>
  </DiskSection>
  <VirtualSystem ovf:id="c0000000-0000-0000-0000-000000000000">
    <Name>web01</Name>
    <BiosType custom="true">2</BiosType>
    <ClusterCompatibilityVersion>4.7</ClusterCompatibilityVersion>
    <OperatingSystemSection ovf:id="80" ovirt:id="33" ovf:required="false">
      <Info>Guest Operating System</Info>
      <Description>Red Hat Enterprise Linux 9.x x64</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>2 CPU, 2048 Memory</Info>
      <System><vssd:VirtualSystemType>ENGINE 4.4.0.0</vssd:VirtualSystemType></System>
      <Item>
        <rasd:Caption>2 virtual cpu</rasd:Caption>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:num_of_sockets>1</rasd:num_of_sockets>
        <rasd:cpu_per_socket>2</rasd:cpu_per_socket>
        <rasd:threads_per_cpu>1</rasd:threads_per_cpu>
        <rasd:max_num_of_vcpus>16</rasd:max_num_of_vcpus>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Caption>2048 MB of memory</rasd:Caption>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>
        <rasd:VirtualQuantity>2048</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Caption>web01_data</rasd:Caption>
        <rasd:InstanceID>a0000000-0000-0000-0000-000000000001</rasd:InstanceID>
        <rasd:ResourceType>17</rasd:ResourceType>
        <rasd:HostResource>ovf:/disk/a0000000-0000-0000-0000-000000000001</rasd:HostResource>
        <BootOrder>0</BootOrder>
      </Item>
      <Item>
        <rasd:Caption>web01_system</rasd:Caption>
        <rasd:InstanceID>a0000000-0000-0000-0000-000000000002</rasd:InstanceID>
        <rasd:ResourceType>17</rasd:ResourceType>
        <rasd:HostResource>ovf:/disk/a0000000-0000-0000-0000-000000000002</rasd:HostResource>
        <BootOrder>2</BootOrder>
      </Item>
      <Item>
        <rasd:Caption>Ethernet adapter on lab</rasd:Caption>
        <rasd:InstanceID>d0000000-0000-0000-0000-000000000001</rasd:InstanceID>
        <rasd:ResourceType>10</rasd:ResourceType>
        <rasd:OtherResourceType>lab</rasd:OtherResourceType>
        <rasd:ResourceSubType>3</rasd:ResourceSubType>
        <rasd:Connection>lab</rasd:Connection>
        <rasd:Linked>true</rasd:Linked>
        <rasd:Name>nic1</rasd:Name>
        <rasd:ElementName>nic1</rasd:ElementName>
        <rasd:MACAddress>56:6f:1a:1b:00:02</rasd:MACAddress>
        <BootOrder>1</BootOrder>
      </Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</ovf:Envelope>
"""
